// Written by `wws build --target deno`. Serves the gateway: `WWS_LISTEN` (host:port) and `WWS_KV` (a file) are for a machine of
// one's own; on Deno Deploy both are left out.
import "./crons.ts";
import { Border } from "./border.ts";
import { opened } from "./database.ts";
import { bundle, environment, gateway, started } from "./python.ts";
import { ready } from "./ticks.ts";
import { Wake } from "./wake.ts";

const GRACE = 4; // seconds for what runs behind answers: Deno Deploy ends a process 5 s after SIGINT

const listen = Deno.env.get("WWS_LISTEN");
const [py, database] = await Promise.all([started(), opened()]);
const border = new Border(database);
const served = gateway(py).start(bundle(), border, new Wake(), environment);
if (typeof served === "string") {
  console.error(`error: this deployment cannot serve:\n${served}`);
  Deno.exit(1);
}

ready((cron) => served.tick(cron));

const [hostname, port] = listen ? [listen.slice(0, listen.lastIndexOf(":")), listen.slice(listen.lastIndexOf(":") + 1)] : [];
const server = Deno.serve({
  ...(listen ? { hostname, port: Number(port) } : {}),
  onListen: (at) => console.error(`wws ready on http://${at.hostname}:${at.port}`),
}, (request, info) => border.serve(request, "hostname" in info.remoteAddr ? info.remoteAddr.hostname : ""));

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  Deno.addSignalListener(signal, async () => {
    await Promise.race([
      server.shutdown().then(() => served.drain(GRACE)),
      new Promise((done) => setTimeout(done, GRACE * 1000)),
    ]);
    Deno.exit(0);
  });
}
