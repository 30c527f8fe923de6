/** What spaces and threads need of their machine: the stub, with its target stopped. */

import type { Client } from "./client.ts";

export interface StubControl {
  readonly client: Client;
  /** Whether the target runs now. */
  readonly isRunning: boolean;
  /** Whether the packet P is known. */
  readonly writesSingleRegisters: boolean;
  /**
   * Use the stub while the target is stopped; one that runs is stopped for it, and goes on at the
   * next wait. Undefined when the stub is lost. Throws ToolError gdb.*, once, when it gets lost by
   * this.
   */
  whileStopped<T>(use: (client: Client) => T): T | undefined;
}
