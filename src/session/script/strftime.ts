/**
 * strftime(3) in the C locale and local time, with `%f` for microseconds, as scripts have it.
 * Letters that are not known are left as they are.
 */

const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS = [
  ...["January", "February", "March", "April", "May", "June", "July", "August", "September"],
  ...["October", "November", "December"],
];
const DAY_MS = 86_400_000;

/** @param wallNs nanoseconds since 1970, UTC */
export function formatTime(format: string, wallNs: bigint): string {
  const milliseconds = Number(wallNs / 1_000_000n);
  const date = new Date(milliseconds);
  const microseconds = Number((wallNs / 1000n) % 1_000_000n);
  return format.replace(/%[EO_0^#-]?([A-Za-z%])/g, (whole, letter: string) =>
    letter === "f" ? pad(microseconds, 6) : (formatLetter(letter, date) ?? whole),
  );
}

/** Letters that stand for others. */
const COMPOSED: Readonly<Record<string, string>> = {
  D: "%m/%d/%y",
  F: "%Y-%m-%d",
  R: "%H:%M",
  T: "%H:%M:%S",
  X: "%H:%M:%S",
  c: "%a %b %e %H:%M:%S %Y",
  h: "%b",
  r: "%I:%M:%S %p",
  x: "%m/%d/%y",
};

function formatLetter(letter: string, date: Date): string | undefined {
  const composed = COMPOSED[letter];
  if (composed !== undefined) {
    return composed.replace(/%(.)/g, (_, one: string) => formatLetter(one, date) ?? "");
  }
  const text = formatText(letter, date);
  return text ?? formatNumber(letter, date);
}

function formatText(letter: string, date: Date): string | undefined {
  const day = DAYS[date.getDay()] as string;
  const month = MONTHS[date.getMonth()] as string;
  const half = date.getHours() < 12 ? "AM" : "PM";
  switch (letter) {
    case "%":
      return "%";
    case "n":
      return "\n";
    case "t":
      return "\t";
    case "a":
      return day.slice(0, 3);
    case "A":
      return day;
    case "b":
      return month.slice(0, 3);
    case "B":
      return month;
    case "p":
      return half;
    case "P":
      return half.toLowerCase();
    case "z":
      return formatOffset(-date.getTimezoneOffset());
    case "Z":
      return zoneName(date);
    default:
      return undefined;
  }
}

function formatNumber(letter: string, date: Date): string | undefined {
  const hour12 = date.getHours() % 12 === 0 ? 12 : date.getHours() % 12;
  const yearDay = dayOfYear(date);
  const year = date.getFullYear();
  const iso = isoWeek(date);
  switch (letter) {
    case "C":
      return pad(Math.floor(year / 100), 2);
    case "d":
      return pad(date.getDate(), 2);
    case "e":
      return String(date.getDate()).padStart(2, " ");
    case "G":
      return String(iso.year);
    case "g":
      return pad(iso.year % 100, 2);
    case "H":
      return pad(date.getHours(), 2);
    case "I":
      return pad(hour12, 2);
    case "j":
      return pad(yearDay + 1, 3);
    case "k":
      return String(date.getHours()).padStart(2, " ");
    case "l":
      return String(hour12).padStart(2, " ");
    case "M":
      return pad(date.getMinutes(), 2);
    case "m":
      return pad(date.getMonth() + 1, 2);
    case "S":
      return pad(date.getSeconds(), 2);
    case "s":
      return String(Math.floor(date.getTime() / 1000));
    case "U":
      return pad(Math.floor((yearDay + 7 - date.getDay()) / 7), 2);
    case "u":
      return String(date.getDay() === 0 ? 7 : date.getDay());
    case "V":
      return pad(iso.week, 2);
    case "W":
      return pad(Math.floor((yearDay + 7 - ((date.getDay() + 6) % 7)) / 7), 2);
    case "w":
      return String(date.getDay());
    case "Y":
      return String(year);
    case "y":
      return pad(year % 100, 2);
    default:
      return undefined;
  }
}

function pad(value: number, digits: number): string {
  return String(value).padStart(digits, "0");
}

/** From 0. By calendar days, as days of a change of clocks are not of 24 hours. */
function dayOfYear(date: Date): number {
  const today = Date.UTC(date.getFullYear(), date.getMonth(), date.getDate());
  return Math.round((today - Date.UTC(date.getFullYear(), 0, 1)) / DAY_MS);
}

/** ISO 8601: weeks start on Monday, and belong to the year of their Thursday. */
function isoWeek(date: Date): { readonly year: number; readonly week: number } {
  const today = Date.UTC(date.getFullYear(), date.getMonth(), date.getDate());
  const thursday = new Date(today + (3 - ((date.getDay() + 6) % 7)) * DAY_MS);
  const year = thursday.getUTCFullYear();
  const week = Math.floor((thursday.getTime() - Date.UTC(year, 0, 1)) / DAY_MS / 7) + 1;
  return { year, week };
}

function formatOffset(minutes: number): string {
  const sign = minutes < 0 ? "-" : "+";
  const absolute = Math.abs(minutes);
  return `${sign}${pad(Math.floor(absolute / 60), 2)}${pad(absolute % 60, 2)}`;
}

function zoneName(date: Date): string {
  const parts = new Intl.DateTimeFormat("en", { timeZoneName: "short" }).formatToParts(date);
  return parts.find((part) => part.type === "timeZoneName")?.value ?? "";
}
