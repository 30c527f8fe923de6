/** Runs scripted stubs in a worker, and tells what became of one when it is asked. */

import { parentPort } from "node:worker_threads";
import { makeFuzz } from "./fuzz-stub.ts";
import { MISBEHAVIOURS } from "./misbehaviours.ts";
import { ScriptedStub } from "./scripted-stub.ts";

/** What a test asks of the worker; each is answered by one message. */
export type StubRequest =
  | {
      readonly kind: "start";
      readonly path: string;
      /** One of MISBEHAVIOURS; undefined: none. */
      readonly misbehaviour: string | undefined;
      /** Answers that are spoiled at random, from this seed. */
      readonly seed: number | undefined;
    }
  | { readonly kind: "state"; readonly path: string }
  | { readonly kind: "stop"; readonly path: string };

const stubs = new Map<string, ScriptedStub>();

parentPort?.on("message", (request: StubRequest) => {
  const stub = stubs.get(request.path);
  switch (request.kind) {
    case "start": {
      const { path, misbehaviour, seed } = request;
      const script = seed === undefined ? MISBEHAVIOURS[misbehaviour ?? ""] : makeFuzz(seed);
      const answer = (): void => parentPort?.postMessage("started");
      stubs.set(path, new ScriptedStub(path, script ?? {}, answer));
      return;
    }
    case "state":
      return parentPort?.postMessage(stub?.state);
    case "stop":
      stub?.close();
      stubs.delete(request.path);
      return parentPort?.postMessage("stopped");
  }
});
