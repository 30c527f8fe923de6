/**
 * Times by strftime's letters, as the C locale of glibc has them with its flags (`%-d`, `%_d`,
 * `%^a`) and widths, and `%f`, which bpftrace adds: microseconds. The time zone comes from outside.
 * Facts: ISO C 7.27.3.5, strftime(3). What is no conversion stays as it is.
 */

/** What a time zone is at a moment. */
export interface ZoneMoment {
  /** East of Greenwich is positive. */
  readonly utcOffsetSeconds: number;
  /** `UTC`, `CET`. */
  readonly abbreviation: string;
}

const DAYS = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS = [
  "January",
  "February",
  "March",
  "April",
  "May",
  "June",
  "July",
  "August",
  "September",
  "October",
  "November",
  "December",
];

/** What a conversion of several others stands for. */
const COMPOSED: Readonly<Record<string, string>> = {
  c: "%a %b %e %H:%M:%S %Y",
  D: "%m/%d/%y",
  F: "%Y-%m-%d",
  r: "%I:%M:%S %p",
  R: "%H:%M",
  T: "%H:%M:%S",
  x: "%m/%d/%y",
  X: "%H:%M:%S",
};

const DAY_MS = 86_400_000;
const WIDTH_MAX = 1024;

interface Moment {
  /** Local time, in the fields of a UTC date. */
  readonly date: Date;
  readonly seconds: bigint;
  readonly microseconds: bigint;
  readonly zone: ZoneMoment;
}

/** How a conversion is padded: with what, and to how many columns. */
interface Field {
  readonly text: string;
  readonly padding: "0" | " ";
  readonly width: number;
}

/** @param wallNs since 1970, UTC. @param format bytes, one character each. */
export function formatTime(
  format: string,
  wallNs: bigint,
  zoneAt: (wallNs: bigint) => ZoneMoment,
): string {
  const zone = zoneAt(wallNs);
  const seconds = floorDivide(wallNs, 1_000_000_000n);
  const microseconds = (wallNs - seconds * 1_000_000_000n) / 1000n;
  const date = new Date((Number(seconds) + zone.utcOffsetSeconds) * 1000);
  return formatMoment(format, { date, seconds, microseconds, zone });
}

function formatMoment(format: string, moment: Moment): string {
  return format.replace(
    /%([-_0^#+]*)(\d*)[EO]?([a-zA-Z%])/g,
    (source, flags: string, width: string, letter: string) => {
      const composed = COMPOSED[letter];
      const field: Field | undefined =
        composed === undefined
          ? convert(letter, moment)
          : { text: formatMoment(composed, moment), padding: " ", width: 0 };
      return field === undefined ? source : pad(field, flags, width, letter);
    },
  );
}

function pad(field: Field, flags: string, width: string, letter: string): string {
  const style = /[-_0+](?=[^-_0+]*$)/.exec(flags)?.[0];
  const padding = style === "_" ? " " : style === "0" ? "0" : field.padding;
  const columns = style === "-" ? 0 : Math.min(Number(width) || field.width, WIDTH_MAX);
  const text = changeCase(field.text, flags, letter);
  if (padding === " " || !/^[-+]\d/.test(text)) return text.padStart(columns, padding);
  return `${text[0]}${text.slice(1).padStart(columns - 1, "0")}`;
}

/** `#` turns the usual case around. */
function changeCase(text: string, flags: string, letter: string): string {
  if (flags.includes("#"))
    return letter === "p" || letter === "Z" ? text.toLowerCase() : text.toUpperCase();
  return flags.includes("^") ? text.toUpperCase() : text;
}

function convert(letter: string, moment: Moment): Field | undefined {
  return convertName(letter, moment) ?? convertNumber(letter, moment);
}

function convertName(letter: string, moment: Moment): Field | undefined {
  const { date, zone } = moment;
  switch (letter) {
    case "a":
      return plain(DAYS[date.getUTCDay()]!.slice(0, 3));
    case "A":
      return plain(DAYS[date.getUTCDay()]!);
    case "b":
    case "h":
      return plain(MONTHS[date.getUTCMonth()]!.slice(0, 3));
    case "B":
      return plain(MONTHS[date.getUTCMonth()]!);
    case "p":
      return plain(date.getUTCHours() < 12 ? "AM" : "PM");
    case "P":
      return plain(date.getUTCHours() < 12 ? "am" : "pm");
    case "n":
      return plain("\n");
    case "t":
      return plain("\t");
    case "z":
      return plain(formatOffset(zone.utcOffsetSeconds));
    case "Z":
      return plain(zone.abbreviation);
    case "%":
      return plain("%");
    default:
      return undefined;
  }
}

function convertNumber(letter: string, moment: Moment): Field | undefined {
  const { date } = moment;
  const hour = date.getUTCHours();
  const weekday = date.getUTCDay();
  const year = date.getUTCFullYear();
  const dayOfYear = Math.floor((date.getTime() - Date.UTC(year, 0, 1)) / DAY_MS);
  switch (letter) {
    case "C":
      return number(Math.floor(year / 100), 2);
    case "d":
      return number(date.getUTCDate(), 2);
    case "e":
      return number(date.getUTCDate(), 2, " ");
    case "f":
      return number(moment.microseconds, 6);
    case "g":
      return number(((isoWeek(date).year % 100) + 100) % 100, 2);
    case "G":
      return number(isoWeek(date).year, 1);
    case "H":
      return number(hour, 2);
    case "I":
      return number(hour % 12 || 12, 2);
    case "j":
      return number(dayOfYear + 1, 3);
    case "k":
      return number(hour, 2, " ");
    case "l":
      return number(hour % 12 || 12, 2, " ");
    case "m":
      return number(date.getUTCMonth() + 1, 2);
    case "M":
      return number(date.getUTCMinutes(), 2);
    case "s":
      return number(moment.seconds, 1);
    case "S":
      return number(date.getUTCSeconds(), 2);
    case "u":
      return number(weekday || 7, 1);
    case "U":
      return number(Math.floor((dayOfYear + 7 - weekday) / 7), 2);
    case "V":
      return number(isoWeek(date).week, 2);
    case "w":
      return number(weekday, 1);
    case "W":
      return number(Math.floor((dayOfYear + 7 - ((weekday + 6) % 7)) / 7), 2);
    case "y":
      return number(((year % 100) + 100) % 100, 2);
    case "Y":
      return number(year, 1);
    default:
      return undefined;
  }
}

function plain(text: string): Field {
  return { text, padding: " ", width: 0 };
}

function number(value: number | bigint, width: number, padding: "0" | " " = "0"): Field {
  return { text: String(value), padding, width };
}

/** Week 1 is the one with the year's first Thursday; weeks begin on Mondays. */
function isoWeek(date: Date): { readonly year: number; readonly week: number } {
  const thursday = new Date(date.getTime() + (3 - ((date.getUTCDay() + 6) % 7)) * DAY_MS);
  const year = thursday.getUTCFullYear();
  const days = Math.floor((thursday.getTime() - Date.UTC(year, 0, 1)) / DAY_MS);
  return { year, week: 1 + Math.floor(days / 7) };
}

/** `+0130`. */
function formatOffset(seconds: number): string {
  const minutes = Math.floor(Math.abs(seconds) / 60);
  const hours = String(Math.floor(minutes / 60)).padStart(2, "0");
  return `${seconds < 0 ? "-" : "+"}${hours}${String(minutes % 60).padStart(2, "0")}`;
}

function floorDivide(value: bigint, divisor: bigint): bigint {
  const quotient = value / divisor;
  return value < 0n && quotient * divisor !== value ? quotient - 1n : quotient;
}
