// What jumps under whoever reads, as the browser counts it.
import assert from "node:assert/strict";

/** The bound of the Core Web Vitals is 0.1. */
const STILL = 0.05;

/** For the page, before anything else. */
export function watchShifts() {
  window.shifts = [];
  new PerformanceObserver((list) => {
    for (const { value, hadRecentInput, sources, startTime } of list.getEntries()) {
      const moved = sources.map(({ node }) => node && `${node.nodeName} ${node.className ?? ""}`);
      window.shifts.push({ value, hadRecentInput, at: Math.round(startTime), moved });
    }
  }).observe({ type: "layout-shift", buffered: true });
}

/** Down to the end by the wheel, as a reader goes. */
export async function readOn(visit) {
  const { width, height } = visit.page.viewportSize();
  await visit.page.mouse.move(width / 2, height / 2);
  const bottom = () => scrollY + innerHeight >= document.documentElement.scrollHeight - 1;
  for (let turns = 0; turns < 400 && !(await visit.page.evaluate(bottom)); turns++) {
    await visit.page.mouse.wheel(0, 120);
    await visit.drawn();
  }
}

export async function assertStill(visit) {
  const shifts = await visit.page.evaluate(() => window.shifts);
  // What a reader's own click has opened may move what is below it, as the standard has it.
  const sum = shifts.filter(({ hadRecentInput }) => !hadRecentInput).reduce((total, { value }) => total + value, 0);
  visit.t.diagnostic(`layout shift ${sum.toFixed(4)}`);
  assert.ok(sum <= STILL, `layout shift ${sum}, expected at most ${STILL}: ${JSON.stringify(shifts, null, 1)}`);
}
