/**
 * What probes have in common that are not at sites: those on system calls, on data, and on time.
 * Their handlers get a hit as those of any probe, at the address where the thread is stopped.
 */

import type { Address } from "../../base/address.ts";
import type { Thread } from "../../machine/machine.ts";
import type { HandlerError, Probe, SiteInfo } from "../api.ts";
import type { HitView } from "../hit-view.ts";
import type { Location } from "../locate.ts";

/** What such probes need of their session. */
export interface ProviderHost {
  takeHit(): HitView;
  giveHit(hit: HitView): void;
  handlerFailed(error: HandlerError): void;
  /** What is at an address of a thread's process. */
  locate(thread: Thread, address: Address): Location | undefined;
}

/** What the provider of a probe is told of it. */
export interface Provider<P> {
  /** The probe was enabled or disabled. */
  changed(probe: P): void;
  removed(probe: P): void;
}

export abstract class ProviderProbe implements Probe {
  abstract readonly kind: Probe["kind"];
  readonly where: string;
  hits = 0;
  missed = 0;
  errors = 0;
  readonly abandoned = 0;
  readonly pending = false;
  readonly sites: readonly SiteInfo[] = [];
  registered = true;
  private isEnabled: boolean;
  private readonly host: ProviderHost;

  constructor(host: ProviderHost, where: string, options: { readonly disabled: boolean }) {
    this.host = host;
    this.where = where;
    this.isEnabled = !options.disabled;
  }

  get enabled(): boolean {
    return this.isEnabled && this.registered;
  }

  enable(): void {
    this.setEnabled(true);
  }

  disable(): void {
    this.setEnabled(false);
  }

  private setEnabled(enabled: boolean): void {
    if (!this.registered || this.isEnabled === enabled) return;
    this.isEnabled = enabled;
    try {
      this.changed();
    } catch (error) {
      this.isEnabled = !enabled;
      throw error;
    }
  }

  unregister(): void {
    if (!this.registered) return;
    this.registered = false;
    this.removed();
  }

  protected abstract changed(): void;
  protected abstract removed(): void;

  /** Run a handler on a thread that is stopped. */
  protected run(
    handler: HandlerError["handler"],
    thread: Thread,
    body: (hit: HitView) => void,
  ): void {
    const { host } = this;
    const address = thread.pc;
    const place = {
      address,
      // Looked up only by a handler that asks.
      get label(): Location | undefined {
        return host.locate(thread, address);
      },
    };
    const hit = host.takeHit().bind(this, thread, place, undefined);
    try {
      body(hit);
    } catch (error) {
      this.errors++;
      host.handlerFailed({ probe: this, handler, error });
    } finally {
      hit.release();
      host.giveHit(hit);
    }
  }
}
