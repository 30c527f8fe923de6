/** Serves one client at a time of a plain stub: see plain-stub.ts. */

import { createConnection, createServer } from "node:net";
import { parentPort, workerData } from "node:worker_threads";

const { path, gdbPath } = workerData as { readonly path: string; readonly gdbPath: string };
/** What only QEMU knows: physical memory, and its monitor. */
const HIDDEN = /^\$(?:[qQ]qemu\.PhyMemMode|qRcmd,)/;
const UNKNOWN = "$#00";

createServer((client) => {
  const stub = createConnection(gdbPath);
  let text = "";
  client.on("data", (bytes: Buffer) => {
    text += bytes.toString("latin1");
    // Acknowledgements and the wish to stop are single bytes; a packet ends in its checksum.
    for (;;) {
      const piece = /^(?:[^$]|\$[^#]*#[0-9a-f]{2})/i.exec(text)?.[0];
      if (piece === undefined) return;
      text = text.slice(piece.length);
      if (HIDDEN.test(piece)) client.write(UNKNOWN);
      else stub.write(Buffer.from(piece, "latin1"));
    }
  });
  stub.on("data", (bytes) => client.write(bytes));
  const end = (): void => {
    client.destroy();
    stub.destroy();
  };
  for (const socket of [client, stub]) socket.on("close", end).on("error", end);
}).listen(path, () => parentPort?.postMessage("listening"));
