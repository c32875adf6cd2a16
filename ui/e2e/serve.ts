/** The mock hub by itself, for `npm run dev`: prints its address, runs until stopped. */
import { Mock } from "./mock";

export async function main(): Promise<void> {
  const mock = new Mock();
  await mock.up();
  console.log(`mock hub: ${mock.url} (npm run dev with FARHUB_URL=${mock.url})`);
  const { shop } = mock;
  let second = 0;
  setInterval(() => {
    second += 1;
    const active = shop.world.printers.filter(({ state }) => state?.phase === "printing");
    shop.changeAll(active.map(({ id }) => id), ({ state }) => {
      const job = state?.job;
      if (job?.progress_percent === undefined) return;
      job.progress_percent = (job.progress_percent + 0.2) % 100;
      job.remaining_s = Math.round(8040 * (1 - job.progress_percent / 100));
    });
    const in_bytes_per_s = 28e6 + 9e6 * Math.sin(second / 4);
    mock.rates({
      devices: [{
        address: "desk/scratch-disk", side: "serve", in_bytes_per_s, out_bytes_per_s: 2e5,
        urbs_per_s: 240, errors: 0,
      }],
    });
  }, 1000);
}
