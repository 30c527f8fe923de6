/** The local time zone at a moment, as Node knows it (TZ, or the machine's own). */

import type { ZoneMoment } from "../../report/strftime.ts";

export function zoneAt(wallNs: bigint): ZoneMoment {
  const date = new Date(Number(wallNs / 1_000_000n));
  return {
    utcOffsetSeconds: date.getTimezoneOffset() * -60,
    get abbreviation(): string {
      const parts = new Intl.DateTimeFormat("en", { timeZoneName: "short" }).formatToParts(date);
      return parts.find((part) => part.type === "timeZoneName")?.value ?? "";
    },
  };
}
