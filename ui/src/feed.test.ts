import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Rates, State } from "./api";
import { Feed, waitMs, type Listener, type Source } from "./feed";

class FakeSource extends EventTarget implements Source {
  closed = false;
  close = () => void (this.closed = true);
  say = (type: string, data: unknown) =>
    this.dispatchEvent(new MessageEvent(type, { data: JSON.stringify(data) }));
  fail = () => this.dispatchEvent(new Event("error"));
}

let sources: FakeSource[];
let heard: string[];
let feed: Feed;

const last = () => sources.at(-1) ?? expect.fail("nothing was opened");
const listener: Listener = {
  events: {
    state: (state: State) => heard.push(`state ${state.hub.name}`),
    rates: (rates: Rates) => heard.push(`rates ${rates.devices.length}`),
  },
  link: (live) => heard.push(live ? "live" : "lost"),
};

beforeEach(() => {
  vi.useFakeTimers();
  sources = [];
  heard = [];
  feed = new Feed(() => {
    const source = new FakeSource();
    sources.push(source);
    return source;
  }, listener);
  feed.start();
});
afterEach(() => vi.useRealTimers());

test("state and rates arrive; the first state means that the link is live", () => {
  last().say("state", { hub: { name: "desk" } });
  last().say("rates", { devices: [] });
  expect(heard).toEqual(["live", "state desk", "rates 0"]);
});

test("an error closes, waits and opens again", () => {
  last().say("state", { hub: { name: "desk" } });
  last().fail();
  expect(sources[0]?.closed).toBe(true);
  expect(heard.at(-1)).toBe("lost");
  vi.advanceTimersByTime(499);
  expect(sources).toHaveLength(1);
  vi.advanceTimersByTime(1);
  expect(sources).toHaveLength(2);
  last().say("state", { hub: { name: "desk" } });
  expect(heard.slice(-2)).toEqual(["live", "state desk"]);
});

test("waits grow to eight seconds and start over after a state", () => {
  expect([0, 1, 2, 3, 4, 5, 50].map(waitMs)).toEqual([500, 1000, 2000, 4000, 8000, 8000, 8000]);
  last().fail();
  vi.advanceTimersByTime(500);
  last().fail();
  vi.advanceTimersByTime(999);
  expect(sources).toHaveLength(2);
  vi.advanceTimersByTime(1);
  last().say("state", { hub: { name: "desk" } });
  last().fail();
  vi.advanceTimersByTime(500);
  expect(sources).toHaveLength(4);
});

test("a nudge opens at once while waiting, and does nothing while live", () => {
  feed.nudge();
  expect(sources).toHaveLength(1);
  last().fail();
  feed.nudge();
  expect(sources).toHaveLength(2);
  vi.advanceTimersByTime(60_000);
  expect(sources).toHaveLength(2);
});

test("late errors of a replaced source are not heard; a stopped feed stays stopped", () => {
  feed.start();
  sources[0]?.fail();
  expect(heard).toEqual([]);
  last().fail();
  feed.stop();
  vi.advanceTimersByTime(60_000);
  expect(sources).toHaveLength(2);
});
