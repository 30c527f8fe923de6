import assert from "node:assert/strict";
import { constants } from "node:os";
import { describe, it } from "node:test";
import { getSystemErrorName } from "node:util";
import {
  errorMessage,
  findErrorName,
  findSignal,
  findSignalName,
  listNamedNumbers,
} from "./linux-names.ts";

describe("names of Linux", () => {
  it("of errors are the system's own", () => {
    assert.equal(errorMessage(0), "Success");
    assert.equal(errorMessage(2), "No such file or directory");
    assert.equal(errorMessage(-2), "Unknown error -2");
    assert.equal(errorMessage(999), "Unknown error 999");
    for (const [name, number] of Object.entries(constants.errno)) {
      // One number has two names, and Node takes the other one.
      if (getSystemErrorName(-number) !== name || name === "ENOTSUP") continue;
      assert.equal(findErrorName(number), name);
    }
    assert.equal(findErrorName(4096), undefined);
  });

  it("of signals are the system's own, and are found by both of their forms", () => {
    for (const [name, number] of Object.entries(constants.signals)) {
      assert.equal(findSignal(name), number, name);
      assert.equal(findSignal(name.slice(3).toLowerCase()), number, name);
      assert.equal(findSignal(findSignalName(number)!), number);
    }
    assert.equal(findSignalName(17), "SIGCHLD");
    assert.equal(findSignalName(37), "SIGRTMIN+3");
    assert.equal(findSignal("SIGRTMIN+3"), 37);
    assert.equal(findSignal("9"), 9);
    for (const wrong of ["", "0", "65", "SIGNOT", "SIGRTMIN+31"]) {
      assert.equal(findSignal(wrong), undefined, wrong);
    }
    assert.equal(findSignalName(0), undefined);
    assert.equal(findSignalName(65), undefined);
  });

  it("are all listed, with second names", () => {
    const numbers = listNamedNumbers();
    for (const [name, number] of Object.entries({ ...constants.errno, ...constants.signals }))
      assert.equal(numbers.get(name), number, name);
  });
});
