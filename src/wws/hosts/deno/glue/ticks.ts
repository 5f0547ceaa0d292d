// What the crons of the project wait for: crons.ts, which the build writes, tells them to the platform before the gateway is there.
type Tick = (cron: string) => Promise<void>;

const gateway = Promise.withResolvers<Tick>();

export const ready = gateway.resolve;

export async function tick(cron: string): Promise<void> {
  await (await gateway.promise)(cron);
}
