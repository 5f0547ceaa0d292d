// When the event loop of Python (`loop.py`) runs: in a microtask for what is ready, by one timer for what is due.

export class Wake {
  turn = () => {}; // Python's own, from its start on
  rung = () => {};
  #timer: ReturnType<typeof setTimeout> | undefined;

  soon(): void {
    queueMicrotask(this.turn);
  }

  later(milliseconds: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(this.rung, milliseconds);
  }
}
