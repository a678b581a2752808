import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { Breaker } from "../src/breaker.js";
import { ArgumentError, NotFoundError, TimeoutError, UnavailableError } from "../src/errors.js";
import { retryAfter } from "../src/http/connection.js";
import { type Attempt, CallSignal, pause, retried } from "../src/retry.js";

const OPTIONS = { retries: 3, baseMs: 100, maxMs: 250 };
const BUSY = new UnavailableError("busy");

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

/** Work that fails so many times. */
function failing(times: number, error: unknown = BUSY) {
  let calls = 0;
  return vi.fn(async () => {
    if (calls++ < times) throw error;
    return "done";
  });
}

async function waits(error: unknown, random: () => number, times = 3): Promise<number[]> {
  const seen: Attempt[] = [];
  const { signal } = new AbortController();
  const work = failing(times, error);
  const done = retried(work, OPTIONS, { signal, random, onRetry: (one) => void seen.push(one) });
  const outcome = done.catch(() => "failed");
  await vi.runAllTimersAsync();
  await outcome;
  return seen.map(({ waitMs }) => waitMs);
}

describe("a call that failed", () => {
  test("is tried again after waits from the whole of a range that doubles", async () => {
    expect(await waits(BUSY, () => 1)).toEqual([100, 200, 250]);
    expect(await waits(BUSY, () => 0)).toEqual([0, 0, 0]);
    expect(await waits(BUSY, () => 0.5)).toEqual([50, 100, 125]);
  });

  test("waits as long as the server asks, if that is not too long", async () => {
    const asking = (retryAfterMs: number) => new UnavailableError("busy", { retryAfterMs });
    expect(await waits(asking(900), () => 1)).toEqual([900, 900, 900]);
    expect(await waits(asking(10), () => 1)).toEqual([100, 200, 250]);
    expect(await waits(asking(60_001), () => 1)).toEqual([]);
  });

  test("is tried so often, and no more", async () => {
    const { signal } = new AbortController();
    const work = failing(9);
    const failed = expect(retried(work, OPTIONS, { signal })).rejects.toBe(BUSY);
    await vi.runAllTimersAsync();
    await failed;
    expect(work).toHaveBeenCalledTimes(4);
  });

  test.each([new NotFoundError("gone", { code: "not_found" }), new Error("a bug")])(
    "is not tried again for %s",
    async (error) => {
      const work = failing(9, error);
      const { signal } = new AbortController();
      await expect(retried(work, OPTIONS, { signal })).rejects.toBe(error);
      expect(work).toHaveBeenCalledTimes(1);
    },
  );

  test("is not tried again once it has had an effect, or its time is over", async () => {
    const { signal } = new AbortController();
    const work = failing(9);
    await expect(retried(work, OPTIONS, { signal }, () => true)).rejects.toBe(BUSY);
    const onRetry = vi.fn();
    const over = retried(work, OPTIONS, { signal: AbortSignal.abort(), onRetry });
    await expect(over).rejects.toBe(BUSY);
    expect(work).toHaveBeenCalledTimes(2);
    expect(onRetry).not.toHaveBeenCalled();
  });
});

test("waiting ends with the signal, and leaves nothing behind", async () => {
  const controller = new AbortController();
  const removed = vi.spyOn(controller.signal, "removeEventListener");
  const waited = pause(10, controller.signal);
  await vi.runAllTimersAsync();
  await waited;
  expect(removed).toHaveBeenCalledTimes(1);
  const reason = new Error("enough");
  const ended = expect(pause(10_000, controller.signal)).rejects.toBe(reason);
  controller.abort(reason);
  await ended;
  expect(vi.getTimerCount()).toBe(0);
  await expect(pause(10, controller.signal)).rejects.toBe(reason);
});

describe("a call's signal", () => {
  test("follows the caller's, and the clock", () => {
    const outer = new AbortController();
    const call = new CallSignal(outer.signal, undefined);
    const reason = new Error("enough");
    outer.abort(reason);
    expect(call.signal.reason).toBe(reason);
    expect(new CallSignal(outer.signal, 5).signal.reason).toBe(reason);
    const late = new CallSignal(undefined, 100);
    vi.advanceTimersByTime(99);
    expect(late.signal.aborted).toBe(false);
    vi.advanceTimersByTime(1);
    expect(late.signal.reason).toBeInstanceOf(TimeoutError);
  });

  test("leaves no listener and no clock behind", () => {
    const outer = new AbortController();
    const added = vi.spyOn(outer.signal, "addEventListener");
    const removed = vi.spyOn(outer.signal, "removeEventListener");
    for (let n = 0; n < 20; n++) new CallSignal(outer.signal, 1000).close();
    expect(vi.getTimerCount()).toBe(0);
    expect(removed.mock.calls.map(([, listener]) => listener)).toEqual(
      added.mock.calls.map(([, listener]) => listener),
    );
    outer.abort();
    new CallSignal(outer.signal, 1000).close();
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe("a circuit", () => {
  const enters = (breaker: Breaker) => {
    try {
      breaker.enter();
      return true;
    } catch (error) {
      expect(error).toMatchObject({ name: "UnavailableError", retryable: false });
      return false;
    }
  };

  test("opens after so many failures in a row, and lets one call try", () => {
    let now = 1000;
    const breaker = new Breaker({ failures: 2, resetMs: 500 }, () => now);
    const fails = () => {
      breaker.enter();
      breaker.leave(BUSY);
    };
    fails();
    breaker.enter();
    breaker.leave();
    fails();
    expect(enters(breaker)).toBe(true);
    breaker.leave(BUSY);
    expect(enters(breaker)).toBe(false);
    now += 500;
    expect(enters(breaker)).toBe(true);
    expect(enters(breaker)).toBe(false);
    breaker.leave(BUSY);
    expect(enters(breaker)).toBe(false);
    now += 500;
    expect(enters(breaker)).toBe(true);
    breaker.leave();
    expect(enters(breaker)).toBe(true);
    expect(enters(breaker)).toBe(true);
  });

  test("closes for errors that the server answers with, and not for the caller's own", () => {
    const breaker = new Breaker({ failures: 2, resetMs: 500 }, () => 0);
    breaker.leave(BUSY);
    breaker.leave(new NotFoundError("gone", { code: "not_found" }));
    breaker.leave(BUSY);
    expect(enters(breaker)).toBe(true);
    breaker.leave(new ArgumentError("wrong"));
    breaker.leave(new Error("enough"));
    breaker.leave(BUSY);
    expect(enters(breaker)).toBe(false);
  });
});

test("Retry-After has seconds or a date", () => {
  const now = Date.parse("2026-01-31T12:00:00Z");
  expect(retryAfter(null, now)).toBeUndefined();
  expect(retryAfter("", now)).toBeUndefined();
  expect(retryAfter("soon", now)).toBeUndefined();
  expect(retryAfter("120", now)).toBe(120_000);
  expect(retryAfter("-1", now)).toBe(0);
  expect(retryAfter("Sat, 31 Jan 2026 12:00:30 GMT", now)).toBe(30_000);
  expect(retryAfter("Sat, 31 Jan 2026 11:00:00 GMT", now)).toBe(0);
});
