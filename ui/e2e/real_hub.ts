/** A real hub with simulated devices and printers, for as long as a test needs it. */
import { execFile, spawn, type ChildProcess } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { createSocket } from "node:dgram";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { State } from "../src/api";
import type { Printer } from "../src/shop/api";

/** Of every simulated printer. */
export const SECRET = "12345678";
/** Where Bambu's printers announce themselves. */
const SSDP_PORT = 2021;
const START_MS = 120_000;
const STOP_MS = 20_000;

export class RealHub {
  private constructor(
    readonly url: string,
    readonly folder: string,
    private readonly program: string,
    private readonly child: ChildProcess,
  ) {}

  static async start(program: string): Promise<RealHub> {
    const folder = await mkdtemp(join(tmpdir(), "farhub-e2e-"));
    const any = "127.0.0.1:0";
    const args = ["up", "--demo", "--offline", "--name", "desk", "--data", folder];
    const child = spawn(program, [...args, "--listen", any, "--bind", any]);
    const url = await ready(child).catch(async (error: unknown) => {
      child.kill("SIGKILL");
      await rm(folder, { recursive: true, force: true });
      throw error;
    });
    return new RealHub(url, folder, program, child);
  }

  /** Gracefully; one that does not go is killed, and that is a failure. */
  async stop(): Promise<void> {
    const gone = new Promise<boolean>((done) => {
      if (this.child.exitCode !== null) return done(true);
      const timer = setTimeout(() => done(false), STOP_MS);
      this.child.once("exit", () => {
        clearTimeout(timer);
        done(true);
      });
    });
    this.child.kill("SIGTERM");
    const graceful = await gone;
    if (!graceful) this.child.kill("SIGKILL");
    await rm(this.folder, { recursive: true, force: true });
    if (!graceful) throw new Error(`the hub did not end within ${STOP_MS} ms`);
  }

  get<T>(path: string): Promise<T> {
    return this.#call<T>("GET", path);
  }

  post<T>(path: string, body: unknown): Promise<T> {
    return this.#call<T>("POST", path, body);
  }

  state = () => this.get<State>("/state");
  printer = (name: string) => this.get<Printer>(`/printers/${name}`);

  /** A printer of the other hub, as that hub itself knows it. */
  async inGarage(name: string): Promise<Printer> {
    const data = join(this.folder, "demo", "garage");
    const args = ["--data", data, "--json", "printer", "list"];
    const { stdout } = await promisify(execFile)(this.program, args);
    const found = (JSON.parse(stdout) as Printer[]).find((each) => each.name === name);
    if (!found) throw new Error(`the garage has no ${name}`);
    return found;
  }

  async #call<T>(method: string, path: string, body?: unknown): Promise<T> {
    const response = await fetch(`${this.url}/api/v1${path}`, {
      method,
      headers: { "content-type": "application/json", "farhub-request": "1" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return (text === "" ? undefined : JSON.parse(text)) as T;
  }
}

/** Where its page is, as it says when it is ready. */
function ready(child: ChildProcess): Promise<string> {
  return new Promise((done, fail) => {
    let said = "";
    const late = () => fail(new Error(`the hub was not ready after ${START_MS} ms: ${said}`));
    const timer = setTimeout(late, START_MS);
    const hear = (piece: Buffer) => {
      said = (said + piece.toString()).slice(-8000);
      const url = /ready\. \S+ is on (http:\S+)/.exec(said)?.[1];
      if (url === undefined) return;
      clearTimeout(timer);
      done(url);
    };
    // It is read to the end, so that the hub never waits for us.
    child.stdout?.on("data", hear);
    child.stderr?.on("data", hear);
    child.once("error", fail);
    child.once("exit", (code) => fail(new Error(`the hub ended with ${code}: ${said}`)));
  });
}

/**
 * A Bambu printer of this computer, announced as real ones do, again and again. By broadcast inside
 * the computer: every program that listens hears it. Returns how to stop.
 */
export async function announce({ address, state }: Printer, name: string): Promise<() => void> {
  const socket = createSocket("udp4");
  await new Promise<void>((bound) => socket.bind(0, "127.0.0.1", bound));
  socket.setBroadcast(true);
  const lines = [
    "NOTIFY * HTTP/1.1", "HOST: 239.255.255.250:1990", "Location: 127.0.0.1",
    "NT: urn:bambulab-com:device:3dprinter:1", "NTS: ssdp:alive", `USN: ${address.serial_number}`,
    `DevModel.bambu.com: ${state?.identity.model}`, `DevName.bambu.com: ${name}`,
  ];
  const text = `${lines.join("\r\n")}\r\n\r\n`;
  const timer = setInterval(() => socket.send(text, SSDP_PORT, "127.255.255.255"), 200);
  let open = true;
  return () => {
    clearInterval(timer);
    if (open) socket.close();
    open = false;
  };
}
