// When the event loop of Python (`loop.py`) runs: in a microtask for what is ready, by one timer for what is due.

export class Wake {
  turn = () => {}; // Python's own, from its start on
  rung = () => {};
  #timer: ReturnType<typeof setTimeout> | undefined;
  #next: ReturnType<typeof setImmediate> | undefined;

  soon(): void {
    queueMicrotask(this.turn);
  }

  later(milliseconds: number): void {
    clearTimeout(this.#timer);
    clearImmediate(this.#next);
    if (milliseconds > 0) this.#timer = setTimeout(this.rung, milliseconds);
    else this.#next = setImmediate(this.rung); // a timer of 0 ms takes 2
  }
}
