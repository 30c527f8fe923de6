/** What `check` says of one location: the instruction there, and how it would be probed. */

import type { CheckResult, SiteInfo } from "./api.ts";
import type { Location } from "./locate.ts";
import { chooseReturnMechanism, type WantedMechanism } from "./return-mechanism.ts";
import type { TargetView } from "./target-view.ts";

/** Look at a location without changing anything there. */
export function checkLocation(
  view: TargetView,
  location: Location,
  wanted: WantedMechanism,
): CheckResult {
  const { plan, instruction, bytes } = view.inspect(location);
  return {
    address: location.address,
    module: location.module,
    symbol: location.symbol,
    symbolOffset: location.symbolOffset,
    instruction: instruction?.text,
    bytes,
    verdict:
      plan.kind === "refuse"
        ? { kind: "refuse", reason: plan.reason, detail: plan.detail }
        : {
            kind: "probe",
            strategy: plan.strategy,
            allowed: plan.allowed,
            why: plan.why,
            ...describeReturns(view, location, wanted),
          },
  };
}

/** For a function's entry: how its returns would be caught. */
function describeReturns(
  view: TargetView,
  { address, symbol, symbolOffset, functionStart }: Location,
  wanted: WantedMechanism,
): Pick<SiteInfo, "returnMechanism" | "whyReturnMechanism"> {
  const isEntry = address === functionStart || (symbol !== undefined && symbolOffset === 0);
  if (!isEntry) return { returnMechanism: undefined, whyReturnMechanism: undefined };
  const hasShadowStack = view.target.hasShadowStack();
  const { mechanism, why } = chooseReturnMechanism(wanted, { symbol, hasShadowStack });
  return { returnMechanism: mechanism, whyReturnMechanism: why };
}
