// The log: lines go out together, a moment after the answers they tell of, as the self-hosted server's do.
const WAIT = 200; // milliseconds that a line waits
const MANY = 200; // lines that do not wait for more

let lines: string[] = [];
let timer: ReturnType<typeof setTimeout> | undefined;

export function log(line: string): void {
  const count = lines.push(line);
  if (count === 1) timer = setTimeout(written, WAIT);
  else if (count === MANY) written();
}

function written(): void {
  clearTimeout(timer);
  const whole = lines;
  lines = [];
  for (const line of whole) console.log(line);
}

addEventListener("unload", written);
