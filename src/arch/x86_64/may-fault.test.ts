import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseBytes } from "../../../test/support/x86-vectors.ts";
import { toAddress } from "../../base/address.ts";
import { x86_64 } from "./x86_64.ts";

const NEVER: Readonly<Record<string, string>> = {
  "mov rbp,rsp": "48 89 e5",
  "push rbp": "55",
  "pop rbp": "5d",
  "sub rsp,imm8": "48 83 ec 20",
  "lea rax,[rdi+rdi+1]": "48 8d 44 3f 01",
  "lea rax,[rip+0]": "48 8d 05 00 00 00 00",
  "nop [rax]": "0f 1f 00",
  endbr64: "f3 0f 1e fa",
  "xor eax,eax": "31 c0",
  "movzx eax,al": "0f b6 c0",
  "cmove rax,rbx": "48 0f 44 c3",
  "setne al": "0f 95 c0",
  "imul rax,rbx": "48 0f af c3",
  ret: "c3",
  "call rel32": "e8 00 00 00 00",
  "je rel8": "74 00",
};

const MAYBE: Readonly<Record<string, string>> = {
  "mov rax,[rdi]": "48 8b 07",
  "mov [rdi],rax": "48 89 07",
  "incq [rip+0]": "48 ff 05 00 00 00 00",
  "push [rax]": "ff 30",
  "rep movsb": "f3 a4",
  movsb: "a4",
  "div rcx": "48 f7 f1",
  "call [rax]": "ff 10",
  "jmp rax": "ff e0",
  "mov cr3,rax": "0f 22 d8",
  "mov rax,cr3": "0f 20 d8",
  wrmsr: "0f 30",
  rdmsr: "0f 32",
  cli: "fa",
  sti: "fb",
  hlt: "f4",
  "in al,dx": "ec",
  iretq: "48 cf",
  popfq: "9d",
  syscall: "0f 05",
  int3: "cc",
  ud2: "0f 0b",
  "mov ds,eax": "8e d8",
  "movaps xmm0,xmm1": "0f 28 c1",
  "fld st0": "d9 c0",
  xgetbv: "0f 01 d0",
  rdtsc: "0f 31",
  cpuid: "0f a2",
  "lock xadd [rdi],eax": "f0 0f c1 07",
  swapgs: "0f 01 f8",
  xlatb: "d7",
  "mov al,[moffs]": "a0 00 00 00 00 00 00 00 00",
};

describe("whether an instruction may fault", () => {
  it("those that only compute on general registers, or use the stack, do not", () => {
    for (const [name, bytes] of Object.entries(NEVER)) assert.equal(mayFault(bytes), false, name);
  });

  it("those that reach memory, divide, need rights or use other registers may", () => {
    for (const [name, bytes] of Object.entries(MAYBE)) assert.equal(mayFault(bytes), true, name);
  });
});

function mayFault(bytes: string): boolean {
  const instruction = x86_64.decode(parseBytes(bytes), toAddress(0x1000));
  assert.ok(instruction !== undefined);
  return x86_64.mayFault(instruction);
}
