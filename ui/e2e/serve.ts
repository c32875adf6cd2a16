/** The mock hub by itself, for `npm run dev`: prints its address, runs until stopped. */
import { Mock } from "./mock";

export async function main(): Promise<void> {
  const mock = new Mock();
  await mock.up();
  console.log(`mock hub: ${mock.url} (npm run dev with FARHUB_URL=${mock.url})`);
  let second = 0;
  setInterval(() => {
    second += 1;
    const in_bytes_per_s = 28e6 + 9e6 * Math.sin(second / 4);
    mock.rates({
      devices: [{
        address: "desk/scratch-disk", side: "serve", in_bytes_per_s, out_bytes_per_s: 2e5,
        urbs_per_s: 240, errors: 0,
      }],
    });
  }, 1000);
}
