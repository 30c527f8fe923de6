/** The sorts of instructions that the table of encodings names. */

/** What sort of instruction it is, as far as running it somewhere else goes. */
const KINDS = [
  "plain", // nothing below: it neither reads nor writes its own address
  "nop", // nop, and bti in all forms
  "address", // adr
  "page-address", // adrp
  "load-literal", // ldr of 32 or 64 bits
  "load-literal-signed", // ldrsw
  "load-literal-vector", // ldr of a vector register
  "prefetch-literal", // prfm
  "jump", // b
  "jump-if", // b.cond, bc.cond
  "jump-zero", // cbz, cbnz
  "jump-bit", // tbz, tbnz
  "jump-compare", // cb<cond>
  "jump-indirect", // br
  "jump-signed", // braa and the like
  "call", // bl
  "call-indirect", // blr
  "call-signed", // blraa and the like
  "return", // ret
  "return-signed", // retaa, retab
  "system-call", // svc
  "trap", // brk
  "exception", // hvc, smc, hlt, dcps
  "exception-return", // eret and the like, drps
  "undefined", // udf
  "interrupt-mask", // reads or writes DAIF, and what else a step depends on
  "debug-register", // writes one
  "exclusive-load",
  "exclusive-store",
  "clear-exclusive",
  "copy-sequence", // cpy and set, which a processor may take up again at an earlier instruction
  "transaction",
  "prefix", // movprfx
  "pc-modifier", // pacm, whose next instruction signs with its own address
  "signs-pc", // signs with its own address
  "unlisted-hint",
] as const;

export type FormKind = (typeof KINDS)[number];

export function isFormKind(text: string): text is FormKind {
  return (KINDS as readonly string[]).includes(text);
}
