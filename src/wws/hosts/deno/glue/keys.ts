// Written by `wws build --target deno`. `deno task keys create --name n8n --scope ai`, `list`, `revoke ID`: on the database of the
// gateway, with its WWS_PEPPER. `WWS_KV` may be the address of a database of Deno Deploy.
import { Border } from "./border.ts";
import { opened } from "./database.ts";
import { bundle, environment, gateway, started } from "./python.ts";
import { Wake } from "./wake.ts";

const [py, database] = await Promise.all([started(), opened()]);
const [status, text] = await gateway(py).keys(bundle(), new Border(database), new Wake(), environment, py.toPy(Deno.args));
(status === 0 ? console.log : console.error)(text);
Deno.exit(status);
