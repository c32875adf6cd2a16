/** What the numbers in USB descriptors are called. Source: the USB-IF's list of defined classes. */
import type { Endpoint, Interface, Speed, Usb } from "./api";
import type { Key } from "./text/en";

type ClassKey = Extract<Key, `class_${string}`>;

export type Look =
  | "disk" | "serial" | "keyboard" | "audio" | "camera" | "printer" | "network" | "card"
  | "machine" | "generic";

/** What a person would call the device, from its interfaces; the most telling one wins. */
export function lookOf(usb: Usb): Look {
  const looks = new Set(usb.interfaces.map(lookOfInterface));
  const found = TELLING.find((look) => looks.has(look));
  if (found) return found;
  // Serial adapters have a class of their own only by their vendors (FTDI, Silicon Labs, WCH...).
  return SERIAL_VENDORS.has(usb.vendor_id) ? "serial" : "generic";
}

function lookOfInterface(i: Interface): Look {
  if (i.class === 0x02) return i.subclass === 0x02 ? "serial" : "network";
  if (i.class === 0xe0) return i.subclass === 0x01 && i.protocol === 0x03 ? "network" : "generic";
  return LOOKS[i.class] ?? "generic";
}

/** The catalogue's key for a class code; null for codes that no specification names. */
export const classKey = (code: number): ClassKey | null => CLASSES[code] ?? null;

/** What subclass and protocol add, in the specifications' own words. */
export function classDetail(i: Pick<Interface, "class" | "subclass" | "protocol">): string | null {
  const short = `${hex(i.class, 2)}/${hex(i.subclass, 2)}`;
  return DETAILS[`${short}/${hex(i.protocol, 2)}`] ?? DETAILS[short] ?? null;
}

export const hex = (value: number, digits: number) => value.toString(16).padStart(digits, "0");
export const ids = (usb: Usb) => `${hex(usb.vendor_id, 4)}:${hex(usb.product_id, 4)}`;

/** As the device says it, but the maker once only: many products begin with its name. */
export function makeAndModel({ manufacturer, product }: Usb): string {
  const [make, model] = [manufacturer.trim(), product.trim()];
  const said = `${model} `.toLowerCase().startsWith(`${make} `.toLowerCase());
  return said ? model : [make, model].filter(Boolean).join(" ");
}

/** bcdDevice: `0x0110` is release 1.10 (USB 2.0 §9.6.1). */
export const bcd = (value: number) => `${hex(value >> 8, 1)}.${hex(value & 0xff, 2)}`;

export const direction = (e: Endpoint): "in" | "out" | "both" =>
  e.transfer === "control" ? "both" : e.address & 0x80 ? "in" : "out";

export const speedBits = (speed: Speed): number => SPEEDS[speed];

export type Configuration = {
  value: number;
  interfaces: { number: number; settings: Interface[] }[];
};

/** The flat list of interfaces as the tree that the descriptors were. */
export function configurations(usb: Usb): Configuration[] {
  const tree: Configuration[] = [];
  const sorted = [...usb.interfaces].sort(
    (a, b) =>
      a.configuration - b.configuration || a.number - b.number || a.alternate - b.alternate,
  );
  for (const i of sorted) {
    let configuration = tree.at(-1);
    if (configuration?.value !== i.configuration) {
      configuration = { value: i.configuration, interfaces: [] };
      tree.push(configuration);
    }
    let group = configuration.interfaces.at(-1);
    if (group?.number !== i.number) {
      group = { number: i.number, settings: [] };
      configuration.interfaces.push(group);
    }
    group.settings.push(i);
  }
  return tree;
}

const TELLING: Look[] = [
  "camera", "printer", "card", "network", "disk", "audio", "serial", "keyboard",
];
const SERIAL_VENDORS = new Set([0x0403, 0x10c4, 0x1a86, 0x067b, 0x04d8]);

const LOOKS: Record<number, Look> = {
  0x01: "audio", 0x03: "keyboard", 0x06: "camera", 0x07: "printer", 0x08: "disk", 0x0b: "card",
  0x0e: "camera",
};

const SPEEDS: Record<Speed, number> = {
  low: 1.5e6, full: 12e6, high: 480e6, super: 5e9, super_plus: 10e9,
};

const CLASSES: Record<number, ClassKey> = {
  0x00: "class_each", 0x01: "class_audio", 0x02: "class_communications", 0x03: "class_hid",
  0x05: "class_physical", 0x06: "class_image", 0x07: "class_printer", 0x08: "class_storage",
  0x09: "class_hub", 0x0a: "class_data", 0x0b: "class_card", 0x0d: "class_content",
  0x0e: "class_video", 0x0f: "class_health", 0x10: "class_av", 0x11: "class_billboard",
  0x12: "class_bridge", 0xdc: "class_diagnostic", 0xe0: "class_wireless", 0xef: "class_misc",
  0xfe: "class_application", 0xff: "class_vendor",
};

const DETAILS: Record<string, string> = {
  "01/01": "control", "01/02": "streaming", "01/03": "MIDI streaming",
  "02/02": "ACM", "02/06": "Ethernet (ECM)", "02/0d": "Ethernet (NCM)", "02/0e": "mobile broadband",
  "03/00": "report", "03/01/01": "boot keyboard", "03/01/02": "boot mouse",
  "06/01/01": "PTP", "07/01/01": "one-way", "07/01/02": "two-way", "07/01/04": "IPP over USB",
  "08/06/50": "SCSI, bulk-only", "08/06/62": "SCSI, UAS", "08/04/00": "UFI floppy",
  "0e/01": "control", "0e/02": "streaming", "e0/01/01": "Bluetooth", "e0/01/03": "RNDIS",
  "ef/02/01": "interface association", "fe/01": "firmware upgrade (DFU)",
  "fe/03": "test and measurement",
};
