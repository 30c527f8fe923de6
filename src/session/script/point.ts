/** One attach point of a script as it is attached: what firings of it have in common. */

import type { ArgumentList } from "../../script/check/typed-tree.ts";
import type { AttachPoint } from "../../script/syntax/tree.ts";
import type { HitView } from "../hit-view.ts";
import type { UsdtSite } from "../provider-api.ts";
import { toByteText } from "./byte-text.ts";
import type { Names } from "./names.ts";

/** `usdt:FILE:PROVIDER:NAME`: the provider and name are those of the site, not of the function. */
export function nameSite(hit: HitView, site: UsdtSite, names: Names): string {
  const file = names.place(hit.view, hit.address).module ?? "";
  return `usdt:${file}:${toByteText(site.provider)}:${toByteText(site.name)}`;
}

export class AttachedPoint {
  readonly point: AttachPoint;
  readonly arguments: ArgumentList | undefined;
  /** Whether it fires when a function has returned. */
  readonly isReturn: boolean;
  readonly #names = new WeakMap<object, { readonly func: string; readonly probe: string }>();

  constructor(point: AttachPoint, known: ArgumentList | undefined) {
    this.point = point;
    this.arguments = known;
    this.isReturn = ["uretprobe", "kretprobe", "fexit"].includes(point.provider);
  }

  /** How many arguments of a call its return needs. */
  get keptArguments(): number {
    if (this.point.provider !== "fexit") return 0;
    const indexes = (this.arguments?.fields ?? []).map((field) =>
      field.from.kind === "argument" ? field.from.index + 1 : 0,
    );
    return Math.max(0, ...indexes);
  }

  /** The probed function, and the attach point without wildcards. */
  namesAt(hit: HitView, names: Names): { readonly func: string; readonly probe: string } {
    let known = this.#names.get(hit.place);
    if (known === undefined) {
      known = this.#name(hit, names);
      this.#names.set(hit.place, known);
    }
    return known;
  }

  #name(hit: HitView, names: Names): { readonly func: string; readonly probe: string } {
    const { provider, parts } = this.point;
    const place = names.place(hit.view, hit.address);
    const symbol = hit.symbol === undefined ? place.name : toByteText(hit.symbol);
    const func = symbol ?? `0x${hit.address.toString(16)}`;
    const offset = hit.symbol === undefined ? place.offset : hit.symbolOffset;
    const last = parts.at(-1)?.text ?? "";
    const isOffset = offset !== 0 && !/^0x/i.test(last) && /\+(0x[0-9a-f]+|\d+)$/i.test(last);
    const where = isOffset ? `${func}+${offset}` : /^(0x|\d)/i.test(last) ? last : func;
    if (provider === "uprobe" || provider === "uretprobe") {
      return { func, probe: `${provider}:${place.module ?? ""}:${where}` };
    }
    const module = parts.length > 1 && hit.module !== undefined ? `${hit.module}:` : "";
    return { func, probe: `${provider}:${module}${where}` };
  }
}
