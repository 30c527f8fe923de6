/**
 * Where a stub listens, as users write it: `unix:PATH`, `tcp:HOST:PORT`, `HOST:PORT`, or the path
 * of a serial device, `/dev/ttyS0`, with its speed behind a comma if it is not 115200.
 */

import { ToolError } from "../../base/errors.ts";

export type Endpoint =
  | { readonly kind: "unix"; readonly path: string }
  | { readonly kind: "tcp"; readonly host: string; readonly port: number }
  | { readonly kind: "serial"; readonly path: string; readonly baud: number };

const BAUD_DEFAULT = 115_200;
const PORT_MAX = 65_535;

/** Read an endpoint. Throws ToolError usage. */
export function parseEndpoint(text: string): Endpoint {
  if (text.startsWith("unix:")) {
    const path = text.slice("unix:".length);
    if (path !== "") return { kind: "unix", path };
  } else if (text.startsWith("/dev/")) {
    const [, path, baud] = /^([^,]+)(?:,(\d{1,8}))?$/.exec(text) ?? [];
    const speed = baud === undefined ? BAUD_DEFAULT : Number(baud);
    if (path !== undefined && speed > 0) return { kind: "serial", path, baud: speed };
  } else {
    // An IPv6 address is in brackets, as its colons would be taken for the port's.
    const [, bracketed, plain, digits] =
      /^(?:tcp:)?(?:\[([0-9a-fA-F:.]+)\]|([^\s:/]*)):(\d{1,5})$/.exec(text) ?? [];
    const port = Number(digits);
    if (digits !== undefined && port > 0 && port <= PORT_MAX) {
      return { kind: "tcp", host: bracketed ?? (plain || "localhost"), port };
    }
  }
  throw new ToolError("usage", `cannot read ${JSON.stringify(text)} as the address of a stub`, {
    hint: "unix:PATH, tcp:HOST:PORT, HOST:PORT, or a serial device such as /dev/ttyUSB0",
  });
}

/** As users write it. */
export function formatEndpoint(endpoint: Endpoint): string {
  switch (endpoint.kind) {
    case "unix":
      return `unix:${endpoint.path}`;
    case "tcp": {
      const host = endpoint.host.includes(":") ? `[${endpoint.host}]` : endpoint.host;
      return `tcp:${host}:${endpoint.port}`;
    }
    case "serial":
      return endpoint.path;
  }
}
