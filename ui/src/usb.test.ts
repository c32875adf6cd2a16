import { expect, test } from "vitest";
import { device, disk, usbOf, world } from "../e2e/world";
import { troubleFrom } from "./api";
import {
  bcd, classDetail, classKey, configurations, direction, ids, lookOf, makeAndModel,
} from "./usb";

test("each device of the bench looks like what it is", () => {
  const looks = Object.fromEntries(
    world()
      .devices.filter(({ kind }) => "usb" in kind)
      .map((d) => [d.name, lookOf(usbOf(d))]),
  );
  expect(looks).toEqual({
    "scratch-disk": "disk",
    "echo-port": "serial",
    headset: "audio",
    jtag: "generic",
    laser: "serial",
    camera: "camera",
    photos: "disk",
    "number-pad": "keyboard",
    "signing-card": "card",
    "label-printer": "printer",
    "lte-stick": "network",
  });
});

test("a device without interfaces is generic", () => {
  const usb = usbOf(device("a", "b", disk("", "", 0x1234, 1), {}));
  expect(lookOf({ ...usb, interfaces: [] })).toBe("generic");
  expect(configurations({ ...usb, interfaces: [] })).toEqual([]);
});

test("the maker is named once", () => {
  const told = (make: string, model: string) => makeAndModel(disk(make, model, 1, 1));
  expect(told("SanDisk", "Ultra")).toBe("SanDisk Ultra");
  expect(told("farhub", "farhub simulated disk")).toBe("farhub simulated disk");
  expect(told("WCH", "wch")).toBe("wch");
  expect(told("Logi", "Logitech Mouse")).toBe("Logi Logitech Mouse");
  expect(told("", "Mouse ")).toBe("Mouse");
  expect(told("", "")).toBe("");
});

test("ids and releases as lsusb writes them", () => {
  expect(ids(disk("", "", 0x0781, 0x5583))).toBe("0781:5583");
  expect([bcd(0x0110), bcd(0x1a00), bcd(0x0007)]).toEqual(["1.10", "1a.00", "0.07"]);
});

test("classes by the USB-IF's names", () => {
  expect(classKey(0x08)).toBe("class_storage");
  expect(classKey(0x42)).toBeNull();
  expect(classDetail({ class: 8, subclass: 6, protocol: 0x50 })).toBe("SCSI, bulk-only");
  expect(classDetail({ class: 1, subclass: 2, protocol: 0x20 })).toBe("streaming");
  expect(classDetail({ class: 0xff, subclass: 1, protocol: 1 })).toBeNull();
});

test("directions: bit 7 of the address, and both for control (USB 2.0 §9.6.6)", () => {
  const end = { packet_bytes_max: 8, interval: 0, transfer: "bulk" as const };
  expect(direction({ ...end, address: 0x81 })).toBe("in");
  expect(direction({ ...end, address: 0x01 })).toBe("out");
  expect(direction({ ...end, address: 0x81, transfer: "control" })).toBe("both");
});

test("the flat list becomes configurations, interfaces, alternate settings", () => {
  const headset = world().devices.find((d) => d.name === "headset") ?? expect.fail("no headset");
  const [one, ...more] = configurations(usbOf(headset));
  expect(more).toEqual([]);
  expect(one?.interfaces.map((i) => i.settings.length)).toEqual([1, 2, 2, 1]);
});

test("errors: ours, and whatever else may answer", () => {
  const ours = troubleFrom(
    409,
    JSON.stringify({ error: { code: "in_use", message: "m", hint: "h" } }),
  );
  expect(ours).toMatchObject({ code: "in_use", message: "m", hint: "h" });
  expect(troubleFrom(502, "<h1>Bad gateway</h1>")).toMatchObject({ code: "http_502", hint: null });
  expect(troubleFrom(500, "")).toMatchObject({ message: "HTTP 500" });
  expect(troubleFrom(500, "null")).toMatchObject({ code: "http_500" });
});
