/** QEMU's monitor, which reads memory while the guest runs. */

import { connect, type Socket } from "node:net";

const MONITOR_TIME_MS = 2000;

/** One connection to it. */
export class Monitor {
  private readonly socket: Socket;
  private text = "";

  constructor(path: string) {
    this.socket = connect(path);
    this.socket.on("data", (chunk: Buffer) => {
      this.text += chunk;
    });
  }

  async readWord(address: bigint): Promise<number> {
    this.text = "";
    this.socket.write(`xp /1gx 0x${address.toString(16)}\n`);
    for (let waitedMs = 0; waitedMs < MONITOR_TIME_MS; waitedMs++) {
      const found = /: 0x([0-9a-f]{16})/.exec(this.text)?.[1];
      if (found !== undefined) return Number(BigInt(`0x${found}`));
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    throw new Error(`the monitor did not answer: ${this.text}`);
  }

  [Symbol.dispose](): void {
    this.socket.destroy();
  }
}
