/** The first of months between two times, in steps of so many months that there are at most `max` of them. */
export function ticksBetween(from: number, to: number, max: number): number[] {
  for (const months of [1, 2, 3, 6, 12, 24, 60, 120]) {
    const ticks = monthStarts(from, to, months, max);
    if (ticks.length <= max) return ticks;
  }
  return [];
}

function monthStarts(from: number, to: number, step: number, max: number): number[] {
  const first = new Date(from);
  const ticks: number[] = [];
  let month = Math.ceil((first.getFullYear() * 12 + first.getMonth() + 1) / step) * step;
  for (; ticks.length <= max; month += step) {
    const at = new Date(Math.floor(month / 12), month % 12).getTime();
    if (at > to) break;
    ticks.push(at);
  }
  return ticks;
}
