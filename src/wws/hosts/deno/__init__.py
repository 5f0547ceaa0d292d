"""The gateway on Deno: Pyodide in `Deno.serve`, Deno KV behind it. The TypeScript it needs lies in `glue`."""
