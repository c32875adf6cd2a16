/** A believable hub for the mock: a bench with devices of every kind, and three peers. */
import type {
  Device,
  Endpoint,
  Interface,
  Nearby,
  Pairing,
  Path,
  PathKind,
  Speed,
  Serial,
  State,
  Transfer,
  Usb,
} from "../src/api";
import { ids } from "../src/usb";

export function world(): State {
  return {
    hub: {
      id: hubId("desk"),
      name: "desk",
      version: "0.1.0",
      demo: true,
      web: "http://127.0.0.1:3482",
      discovery: "lan",
    },
    peers: [
      {
        id: hubId("garage"),
        name: "garage",
        online: true,
        trusted: false,
        error: null,
        named: [],
        path: way("lan", "192.168.1.40:41641", 0.8),
        grants: [
          { selector: "scratch-disk", role: "use" },
          { selector: "class:audio", role: "view" },
          {
            selector: "jtag",
            role: "use",
            windows: ["Mon-Fri 08:00-18:00"],
            limit_s: 1800,
            pin: true,
            closed: true,
          },
        ],
      },
      {
        id: hubId("lab-berlin"),
        name: "lab-berlin",
        online: true,
        trusted: true,
        error: null,
        named: [],
        path: way("relay", "https://relay.example.org/", 47.3),
        grants: [{ selector: "*", role: "use" }],
      },
      {
        id: hubId("attic"),
        name: "attic",
        online: false,
        trusted: false,
        path: null,
        grants: [],
        expires: minutesAgo(-90),
        error: null,
        named: [],
      },
    ],
    devices: [
      device("desk", "scratch-disk", disk("farhub", "Simulated disk", 0xfa4b, 0x0001), {
        shared: true,
        simulated: true,
        state: { in_use: "garage" },
      }),
      device("desk", "echo-port", acm("farhub", "Simulated serial loop-back", 0xfa4b, 0x0002), {
        simulated: true,
      }),
      device("desk", "headset", audio(), { shared: true }),
      device("desk", "jtag", vendor("SEGGER", "J-Link", 0x1366, 0x0101), {
        problem:
          "No permission to open /dev/bus/usb/001/004. " +
          "Run “sudo farhub service install” once; it adds the udev rule.",
      }),
      machine("desk", "engraver", "grbl", "USB Serial", "ttyUSB0", {
        shared: true,
        simulated: true,
      }),
      machine("garage", "printer-board", "marlin", "Original Prusa i3 MK3", "ttyACM0", {}),
      printerDevice("desk", "a1-left", "bambu", "A1"),
      printerDevice("garage", "garage-mini", "prusalink", "MINI+"),
      device("garage", "laser", serial("QinHeng Electronics", "CH340 serial converter"), {}),
      device("garage", "camera", video(), { state: { in_use: "lab-berlin" } }),
      device("garage", "photos", disk("SanDisk", "Ultra Fit", 0x0781, 0x5583, "super"), {}),
      device("garage", "number-pad", keyboard(), {}),
      device("lab-berlin", "signing-card", card(), { state: { in_use: "desk" } }),
      device("lab-berlin", "label-printer", printer(), { state: "absent" }),
      device("lab-berlin", "lte-stick", network(), {}),
    ],
    attachments: [
      {
        address: "lab-berlin/signing-card",
        via: "vhci",
        state: "attached",
        since: minutesAgo(42),
        place: "vhci port 0",
        nodes: ["/dev/bus/usb/009/002"],
        error: null,
      },
      {
        address: "attic/scanner",
        via: "vhci",
        state: "waiting",
        since: minutesAgo(600),
        place: null,
        nodes: [],
        error: {
          message: "attic does not answer.",
          hint: "Check that farhub runs there: farhub path attic",
        },
      },
    ],
    requests: [
      {
        number: 3,
        peer: "lab-berlin",
        address: "desk/scratch-disk",
        message: "Ten minutes, to copy the measurements?",
        since: minutesAgo(4),
        in_use: "garage",
      },
    ],
    asked: [
      {
        address: "garage/camera",
        message: "",
        since: minutesAgo(12),
        reply: null,
        error: null,
      },
    ],
    nearby: [
      nearby("garage", "192.168.1.40:41641", { peer: "garage" }),
      nearby("workshop", "192.168.1.52:3482", {}),
    ],
    pairings: [],
  };
}

export const nearby = (name: string, address: string, more: Partial<Nearby>): Nearby => ({
  id: hubId(name),
  name,
  version: "0.1.0",
  addresses: [address],
  peer: null,
  doubt: null,
  ...more,
});

export const pairing = (name: string, more: Partial<Pairing>): Pairing => ({
  id: 7,
  side: "asked",
  state: "code",
  hub_id: hubId(name),
  name,
  remote: "192.168.1.52:3482",
  doubt: null,
  shown: null,
  left_s: 118,
  peer: null,
  problem: null,
  ...more,
});

/** The same hub without devices, peers, or anybody who asks. */
export function nothing(): State {
  const [devices, peers, attachments] = [[], [], []];
  return { ...world(), devices, peers, attachments, nearby: [], requests: [], asked: [] };
}

export function device(hub: string, name: string, usb: Usb, more: Partial<Device>): Device {
  const local = hub === "desk";
  return {
    address: `${hub}/${name}`,
    hub,
    local,
    name,
    id: `usb:${ids(usb)}:${usb.serial_number || usb.port}`,
    shared: !local,
    simulated: false,
    state: "free",
    problem: null,
    kind: { usb },
    ...more,
  };
}

function machine(
  hub: string,
  name: string,
  profile: Serial["profile"],
  product: string,
  port: string,
  more: Partial<Device>,
): Device {
  const { kind: _, ...plain } = device(hub, name, disk("", "", 0, 0), more);
  const serial = { profile, product, serial_number: "A50285BI", port };
  return { ...plain, id: `serial:${port}`, kind: { serial } };
}

function printerDevice(hub: string, name: string, protocol: string, model: string): Device {
  const { kind: _, ...plain } = device(hub, name, disk("", "", 0, 0), { shared: true });
  return { ...plain, id: `printer:prt-${name}`, kind: { printer: { protocol, model } } };
}

/** The USB device that it is: most of the bench are. */
export function usbOf({ name, kind }: Device): Usb {
  if (!("usb" in kind)) throw new Error(`${name} is no USB device`);
  return kind.usb;
}

export function disk(
  manufacturer: string,
  product: string,
  vendor: number,
  id: number,
  speed: Speed = "high",
) {
  return usb(manufacturer, product, vendor, id, speed, "4C530001230415104362", [
    face(0, 0, 0x08, 0x06, 0x50, [end(0x81, "bulk", 512, 0), end(0x02, "bulk", 512, 0)]),
  ]);
}

const acm = (manufacturer: string, product: string, vendor: number, id: number) =>
  usb(manufacturer, product, vendor, id, "full", "FARHUB0002", [
    face(0, 0, 0x02, 0x02, 0x01, [end(0x83, "interrupt", 8, 32)]),
    face(1, 0, 0x0a, 0, 0, [end(0x81, "bulk", 64, 0), end(0x02, "bulk", 64, 0)]),
  ]);

const audio = () =>
  usb("Jabra", "Evolve 65", 0x0b0e, 0x030c, "full", "50C971A0C47F", [
    face(0, 0, 0x01, 0x01, 0, []),
    face(1, 0, 0x01, 0x02, 0, []),
    face(1, 1, 0x01, 0x02, 0, [end(0x03, "isochronous", 192, 1)]),
    face(2, 0, 0x01, 0x02, 0, []),
    face(2, 1, 0x01, 0x02, 0, [end(0x83, "isochronous", 96, 1)]),
    face(3, 0, 0x03, 0, 0, [end(0x84, "interrupt", 32, 4)]),
  ]);

const vendor = (manufacturer: string, product: string, id: number, productId: number) =>
  usb(manufacturer, product, id, productId, "high", "000261006253", [
    face(0, 0, 0xff, 0xff, 0xff, [end(0x81, "bulk", 512, 0), end(0x01, "bulk", 512, 0)]),
  ]);

const serial = (manufacturer: string, product: string) =>
  usb(manufacturer, product, 0x1a86, 0x7523, "full", "", [
    face(0, 0, 0xff, 0x01, 0x02, [
      end(0x82, "bulk", 32, 0),
      end(0x02, "bulk", 32, 0),
      end(0x81, "interrupt", 8, 1),
    ]),
  ]);

const video = () =>
  usb("Logitech", "BRIO Ultra HD webcam", 0x046d, 0x085e, "super", "BC14A98E", [
    face(0, 0, 0x0e, 0x01, 0, [end(0x85, "interrupt", 64, 8)]),
    face(1, 0, 0x0e, 0x02, 0, []),
    face(1, 1, 0x0e, 0x02, 0, [end(0x81, "isochronous", 1024, 1)]),
    face(2, 0, 0x01, 0x01, 0, []),
  ]);

const keyboard = () =>
  usb("Cherry", "Keypad G84-4700", 0x046a, 0x0014, "low", "", [
    face(0, 0, 0x03, 0x01, 0x01, [end(0x81, "interrupt", 8, 10)]),
  ]);

const card = () =>
  usb("REINER SCT", "cyberJack RFID basis", 0x0c4b, 0x9102, "full", "5501234567", [
    face(0, 0, 0x0b, 0, 0, [
      end(0x01, "bulk", 64, 0),
      end(0x82, "bulk", 64, 0),
      end(0x83, "interrupt", 8, 16),
    ]),
  ]);

const printer = () =>
  usb("Brother", "QL-820NWB", 0x04f9, 0x209d, "high", "000E8Z123456", [
    face(0, 0, 0x07, 0x01, 0x02, [end(0x81, "bulk", 64, 0), end(0x02, "bulk", 64, 0)]),
  ]);

const network = () =>
  usb("Huawei", "E3372 LTE modem", 0x12d1, 0x14dc, "high", "", [
    face(0, 0, 0x02, 0x06, 0, [end(0x82, "interrupt", 16, 5)]),
    face(1, 0, 0x0a, 0, 0, []),
    face(1, 1, 0x0a, 0, 0, [end(0x81, "bulk", 512, 0), end(0x01, "bulk", 512, 0)]),
  ]);

let ports = 0;

function usb(
  manufacturer: string,
  product: string,
  vendor_id: number,
  product_id: number,
  speed: Speed,
  serial_number: string,
  interfaces: Interface[],
): Usb {
  ports += 1;
  return {
    vendor_id,
    product_id,
    release: 0x0110,
    class: 0,
    subclass: 0,
    protocol: 0,
    speed,
    manufacturer,
    product,
    serial_number,
    port: `1-${ports}`,
    interfaces,
  };
}

function face(
  number: number,
  alternate: number,
  class_: number,
  subclass: number,
  protocol: number,
  endpoints: Endpoint[],
): Interface {
  return { configuration: 1, number, alternate, class: class_, subclass, protocol, endpoints };
}

const end = (
  address: number,
  transfer: Transfer,
  packet_bytes_max: number,
  interval: number,
): Endpoint => ({ address, transfer, packet_bytes_max, interval });

/** 64 hex digits, as an Ed25519 key is written; made from the name. */
export function hubId(name: string): string {
  let seed = [...name].reduce((sum, c) => (sum * 31 + c.charCodeAt(0)) >>> 0, 7);
  return Array.from({ length: 64 }, () => {
    seed = (seed * 1_103_515_245 + 12_345) >>> 0;
    return ((seed >>> 16) & 15).toString(16);
  }).join("");
}

const minutesAgo = (minutes: number) => new Date(Date.now() - minutes * 60_000).toISOString();

/** A path with a little traffic. */
export function way(kind: PathKind, remote: string, rtt_ms: number): Path {
  return {
    kind,
    remote,
    rtt_ms,
    local: kind === "relay" ? null : "192.168.1.12",
    since: new Date(Date.now() - 7_380_000).toISOString(),
    loss: kind === "relay" ? 0.004 : 0,
    in_bytes_per_s: 31_400_000,
    out_bytes_per_s: 212_000,
  };
}
