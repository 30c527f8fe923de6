/**
 * The A64 instruction set as far as moving an instruction needs it: one line for each encoding,
 * `pattern | names | kind | operands`, the first that matches counts. A word that no line matches is
 * not allocated. Facts: Arm Architecture Reference Manual (DDI 0487), chapter C4, "A64 Instruction
 * Set Encoding", to Armv9.6.
 *
 * A pattern is 32 bits, the highest first: `0`, `1`, and fields as `name:width`. The bits of all
 * fields called `v`, put together, are the index of the name; `-` leaves the word to the lines
 * below. `kind` is a FormKind, "plain" where it is left out. `operands` are how operands.ts spells
 * them; what has none there is shown by its word.
 *
 * Reserved values inside a line's fields are left to the processor, which refuses them wherever
 * they stand: such a copy faults as the original would. Scalable and vector instructions are whole
 * groups, since none in them reads or changes pc.
 */

/** Reserved, scalable and vector groups. */
const GROUPS = `
0000000000000000 imm:16                                     | udf                     | undefined
00000100 001000001011 11 zn:5 zd:5                          | movprfx                 | prefix
00000100 size:2 01000 m:1 001 pg:3 zn:5 zd:5                | movprfx                 | prefix
1 any:2 0000 any:25                                         | sme
any:3 0010 any:25                                           | sve
any:3 0111 any:25                                           | simd
any:3 1111 any:25                                           | simd
`;

const DATA_IMMEDIATE = `
0 lo:2 10000 hi:19 rd:5                               | adr                 | address
1 lo:2 10000 hi:19 rd:5                               | adrp                | page-address
sf:1 v:1 0 100010 sh:1 imm:12 rn:5 rd:5               | add sub             | | Rd/sp, Rn/sp, #imm lsl:sh
sf:1 v:1 1 100010 sh:1 imm:12 rn:5 rd:5               | adds subs           | | Rd, Rn/sp, #imm lsl:sh
1 v:1 0 100011 0 imm:6 00 tag:4 rn:5 rd:5             | addg subg           | | Xd/sp, Xn/sp, #imm*16, #tag
sf:1 00 100011 1 00 v:2 imm:8 rn:5 rd:5               | smax umax smin umin
1 v:2 100100 n:1 immr:6 imms:6 rn:5 rd:5              | and orr eor -       | | Rd/sp, Rn, #pattern
0 v:2 100100 0 immr:6 imms:6 rn:5 rd:5                | and orr eor -       | | Rd/sp, Rn, #pattern
1 11 100100 n:1 immr:6 imms:6 rn:5 rd:5               | ands                | | Rd, Rn, #pattern
0 11 100100 0 immr:6 imms:6 rn:5 rd:5                 | ands                | | Rd, Rn, #pattern
1 v:2 100101 hw:2 imm:16 rd:5                         | movn - movz movk    | | Rd, #imm lsl:hw
0 v:2 100101 0 hw:1 imm:16 rd:5                       | movn - movz movk    | | Rd, #imm lsl:hw
0 v:2 100110 0 0 immr:5 0 imms:5 rn:5 rd:5            | sbfm bfm ubfm -     | | Rd, Rn, #immr, #imms
1 v:2 100110 1 immr:6 imms:6 rn:5 rd:5                | sbfm bfm ubfm -     | | Rd, Rn, #immr, #imms
0 00 100111 0 0 rm:5 0 imms:5 rn:5 rd:5               | extr                | | Rd, Rn, Rm, #imms
1 00 100111 1 0 rm:5 imms:6 rn:5 rd:5                 | extr                | | Rd, Rn, Rm, #imms
1 11 100111 0 v:1 imm:16 11111                        | autiasppc autibsppc | signs-pc
`;

const BRANCHES = `
v:1 00101 imm:26                                            | b -                     | jump
v:1 00101 imm:26                                            | - bl                    | call
01010100 imm:19 v:1 cond:4                                  | b bc                    | jump-if
sf:1 011010 v:1 imm:19 rt:5                                 | cbz cbnz                | jump-zero
bit:1 011011 v:1 bit:5 imm:14 rt:5                          | tbz tbnz                | jump-bit
sf:1 1110100 v:3 rm:5 00 imm:9 rt:5                         | cbgt cbge cbhi cbhs - - cbeq cbne | jump-compare
0 1110100 v:3 rm:5 10 imm:9 rt:5                            | cbbgt cbbge cbbhi cbbhs - - cbbeq cbbne | jump-compare
0 1110100 v:3 rm:5 11 imm:9 rt:5                            | cbhgt cbhge cbhhi cbhhs - - cbheq cbhne | jump-compare
sf:1 1110101 v:3 imm6:6 0 imm:9 rt:5                        | cbgt cblt cbhi cblo - - cbeq cbne | jump-compare
1101011 0000 11111 000000 rn:5 00000                        | br                      | jump-indirect
1101011 0001 11111 000000 rn:5 00000                        | blr                     | call-indirect
1101011 0010 11111 000000 rn:5 00000                        | ret                     | return
1101011 0000 11111 00001 v:1 rn:5 11111                     | braaz brabz             | jump-signed
1101011 1000 11111 00001 v:1 rn:5 rm:5                      | braa brab               | jump-signed
1101011 0001 11111 00001 v:1 rn:5 11111                     | blraaz blrabz           | call-signed
1101011 1001 11111 00001 v:1 rn:5 rm:5                      | blraa blrab             | call-signed
1101011 0010 11111 00001 v:1 11111 11111                    | retaa retab             | return-signed
1101011 0010 11111 00001 v:1 11111 rm:5                     | retaasppcr retabsppcr   | return-signed
01010101 00 v:1 imm:16 11111                                | retaasppc retabsppc     | signs-pc
1101011 0100 11111 000000 11111 00000                       | eret                    | exception-return
1101011 0100 11111 00001 v:1 11111 11111                    | eretaa eretab           | exception-return
1101011 0101 11111 000000 11111 00000                       | drps                    | exception-return
11010100 000 imm:16 000 01                                  | svc                     | system-call
11010100 000 imm:16 000 10                                  | hvc                     | exception
11010100 000 imm:16 000 11                                  | smc                     | exception
11010100 001 imm:16 000 00                                  | brk                     | trap
11010100 010 imm:16 000 00                                  | hlt                     | exception
11010100 011 imm:16 000 00                                  | tcancel                 | transaction
11010100 101 imm:16 000 v:2                                 | - dcps1 dcps2 dcps3     | exception
`;

/** Hints that have no line are nops on processors of today, and may be anything on later ones. */
const SYSTEM = `
11010101000000110010 0000 000 11111          | nop                                     | nop
11010101000000110010 0000 v:3 11111          | - yield wfe wfi sev sevl dgh xpaclri | | none
11010101000000110010 0001 v:3 11111          | pacia1716 - pacib1716 - autia1716 - autib1716 - | | none
11010101000000110010 0010 v:3 11111          | esb psb tsb gcsb csdb - clrbhb - | | none
11010101000000110010 0011 v:3 11111          | paciaz paciasp pacibz pacibsp autiaz autiasp autibz autibsp | | none
11010101000000110010 0100 v:2 0 11111        | bti bti bti bti                         | nop
11010101000000110010 0100 111 11111          | pacm                                    | pc-modifier
11010101000000110010 0101 000 11111          | chkfeat
11010101000000110010 0110 00 v:1 11111       | stshh stshh
11010101000000110010 crm:4 op2:3 11111       | hint                                    | unlisted-hint
11010101000000110001 0000 00 v:1 rd:5        | wfet wfit
11010101000000110011 crm:4 010 11111         | clrex                                   | clear-exclusive | none
11010101000000110011 crm:4 v:3 11111         | - - - - dsb dmb isb -
11010101000000110011 crm:2 10 001 11111      | dsb
11010101000000110011 0000 111 11111          | sb | | none
11010101000000110011 0000 011 11111          | tcommit                                 | transaction
11010101001000110011 0000 011 rd:5           | tstart                                  | transaction
11010101001000110011 0001 011 rd:5           | ttest
11010101000000000100 crm:4 v:3 11111         | cfinv xaflag axflag - - - - - | | none
11010101000000000100 crm:4 v:3 11111         | - - - msr_uao msr_pan - - -
11010101000000000100 crm:4 101 11111         | msr_spsel                               | interrupt-mask
11010101000000010100 000 imm:1 000 11111     | msr_allint                              | interrupt-mask
11010101000000010100 001 imm:1 000 11111     | msr_pm
11010101000000110100 crm:4 v:3 11111         | - msr_ssbs msr_dit msr_svcr msr_tco - - -
11010101000000110100 crm:4 11 v:1 11111      | msr_daifset msr_daifclr                 | interrupt-mask
1101010100 0 11 011 0100 0010 001 rt:5       | msr_daif                                | interrupt-mask
1101010100 1 11 011 0100 0010 001 rt:5       | mrs_daif                                | interrupt-mask
1101010100 0 11 000 0100 0010 000 rt:5       | msr_spsel                               | interrupt-mask
1101010100 v:1 11 000 0100 0011 000 rt:5     | msr_allint mrs_allint                   | interrupt-mask
1101010100 0 10 op1:3 crn:4 crm:4 op2:3 rt:5 | msr                                     | debug-register | system, Xt
1101010100 0 1 op0:1 op1:3 crn:4 crm:4 op2:3 rt:5   | msr | | system, Xt
1101010100 1 1 op0:1 op1:3 crn:4 crm:4 op2:3 rt:5   | mrs | | Xt, system
1101010100 v:1 01 op1:3 crn:4 crm:4 op2:3 rt:5      | sys sysl
1101010101 0 01 op1:3 crn:4 crm:4 op2:3 rt:5        | sysp
1101010101 v:1 1 op0:1 op1:3 crn:4 crm:4 op2:3 rt:5 | msrr mrrs
`;

/**
 * Load-exclusives and store-exclusives are told from compare-and-swap of a pair, which differs in
 * the top bit alone.
 */
const LOADS_AND_STORES = `
v:2 001000 010 rs:5 v:1 rt2:5 rn:5 rt:5               | ldxrb ldaxrb ldxrh ldaxrh ldxr ldaxr ldxr ldaxr | exclusive-load | Tx, [Xn/sp]
1 sz:1 001000 011 rs:5 v:1 rt2:5 rn:5 rt:5            | ldxp ldaxp | exclusive-load | Tx, Tx2, [Xn/sp]
v:2 001000 000 rs:5 v:1 rt2:5 rn:5 rt:5               | stxrb stlxrb stxrh stlxrh stxr stlxr stxr stlxr | exclusive-store | Wm, Tx, [Xn/sp]
1 sz:1 001000 001 rs:5 v:1 rt2:5 rn:5 rt:5            | stxp stlxp | exclusive-store | Wm, Tx, Tx2, [Xn/sp]
0 sz:1 001000 0 l:1 1 rs:5 o:1 11111 rn:5 rt:5              | casp
v:2 001000 1 v:1 0 rs:5 v:1 rt2:5 rn:5 rt:5           | stllrb stlrb ldlarb ldarb stllrh stlrh ldlarh ldarh stllr stlr ldlar ldar stllr stlr ldlar ldar | | Tx, [Xn/sp]
v:2 001000 1 v:1 1 rs:5 v:1 11111 rn:5 rt:5           | casb caslb casab casalb cash caslh casah casalh cas casl casa casal cas casl casa casal | | Tm, Tx, [Xn/sp]
0 q:1 00110 any:25                                          | simd_structure
00 011 any:1 01 any:2 0 any:9 01 rn:5 rd:5                  | mops                    | copy-sequence
v:2 011 0 00 imm:19 rt:5                                    | ldr ldr - -             | load-literal
10 011 0 00 imm:19 rt:5                                     | ldrsw                   | load-literal-signed
11 011 0 00 imm:19 rt:5                                     | prfm                    | prefetch-literal
v:2 011 1 00 imm:19 rt:5                                    | ldr ldr ldr -           | load-literal-vector
0 size:1 011001 v:2 0 imm:9 00 rn:5 rt:5                    | stlur ldapur ldapurs ldapurs
10 011001 v:2 0 imm:9 00 rn:5 rt:5                          | stlur ldapur ldapurs -
11 011001 v:2 0 imm:9 00 rn:5 rt:5                          | stlur ldapur - -
00 011101 v:2 0 imm:9 10 rn:5 rt:5                          | stlur ldapur stlur ldapur
size:2 011101 v:2 0 imm:9 10 rn:5 rt:5                      | stlur ldapur - -
1 sz:1 011001 0 v:1 0 rt2:5 000 o:1 10 rn:5 rt:5            | stilp ldiapp
1 sz:1 011001 10 0 00000 0000 10 rn:5 rt:5                  | stlr
1 sz:1 011001 11 0 00000 0000 10 rn:5 rt:5                  | ldapr
11011001 000 11111 000 v:1 11 rn:5 rt:5                     | gcsstr gcssttr
11011001 opc:2 1 imm:9 op2:2 rn:5 rt:5                      | memory_tag
0 s:1 011001 a:1 r:1 1 rs:5 00001 p:1 rn:5 rt:5             | rcwcas
00 011001 a:1 r:1 1 rt2:5 v:4 00 rn:5 rt:5                  | - ldclrp - ldsetp - - - - swpp - - - - - - -
0 s:1 011001 a:1 r:1 1 rt2:5 10 v:2 00 rn:5 rt:5            | - rcwclrp rcwswpp rcwsetp
v:2 101 0 000 v:1 imm:7 rt2:5 rn:5 rt:5               | stnp ldnp - - stnp ldnp - -  | | Rt, Rt2, [Xn/sp #imm*pair]
v:2 101 0 001 v:1 imm:7 rt2:5 rn:5 rt:5               | stp ldp stgp ldpsw stp ldp - - | | Rp, Rp2, [Xn/sp] #imm*pair
v:2 101 0 010 v:1 imm:7 rt2:5 rn:5 rt:5               | stp ldp stgp ldpsw stp ldp - - | | Rp, Rp2, [Xn/sp #imm*pair]
v:2 101 0 011 v:1 imm:7 rt2:5 rn:5 rt:5               | stp ldp stgp ldpsw stp ldp - - | | Rp, Rp2, [Xn/sp #imm*pair]!
v:2 101 1 000 v:1 imm:7 rt2:5 rn:5 rt:5               | stnp ldnp stnp ldnp stnp ldnp - - | | Vp, Vp2, [Xn/sp #imm*pair]
v:2 101 1 001 v:1 imm:7 rt2:5 rn:5 rt:5               | stp ldp stp ldp stp ldp - - | | Vp, Vp2, [Xn/sp] #imm*pair
v:2 101 1 010 v:1 imm:7 rt2:5 rn:5 rt:5               | stp ldp stp ldp stp ldp - - | | Vp, Vp2, [Xn/sp #imm*pair]
v:2 101 1 011 v:1 imm:7 rt2:5 rn:5 rt:5               | stp ldp stp ldp stp ldp - - | | Vp, Vp2, [Xn/sp #imm*pair]!
11 111 0 00 v:1 s:1 1 imm:9 w:1 1 rn:5 rt:5           | ldraa ldrab
v:2 111 0 00 v:2 0 imm:9 00 rn:5 rt:5                 | sturb ldurb ldursb ldursb sturh ldurh ldursh ldursh stur ldur ldursw - stur ldur prfum - | | Ts, [Xn/sp #imm+]
v:2 111 0 00 v:2 0 imm:9 01 rn:5 rt:5                 | strb ldrb ldrsb ldrsb strh ldrh ldrsh ldrsh str ldr ldrsw - str ldr - - | | Ts, [Xn/sp] #imm+
v:2 111 0 00 v:2 0 imm:9 10 rn:5 rt:5                 | sttrb ldtrb ldtrsb ldtrsb sttrh ldtrh ldtrsh ldtrsh sttr ldtr ldtrsw - sttr ldtr - - | | Ts, [Xn/sp #imm+]
v:2 111 0 00 v:2 0 imm:9 11 rn:5 rt:5                 | strb ldrb ldrsb ldrsb strh ldrh ldrsh ldrsh str ldr ldrsw - str ldr - - | | Ts, [Xn/sp #imm+]!
v:2 111 0 00 v:2 1 rm:5 option:3 s:1 10 rn:5 rt:5     | strb ldrb ldrsb ldrsb strh ldrh ldrsh ldrsh str ldr ldrsw - str ldr prfm - | | Ts, [Xn/sp, index]
v:2 111 0 01 v:2 imm:12 rn:5 rt:5                     | strb ldrb ldrsb ldrsb strh ldrh ldrsh ldrsh str ldr ldrsw - str ldr prfm - | | Ts, [Xn/sp #imm*size]
v:2 111 1 00 v:2 0 imm:9 00 rn:5 rt:5                 | stur ldur stur ldur stur ldur - - stur ldur - - stur ldur - - | | Vs, [Xn/sp #imm+]
v:2 111 1 00 v:2 0 imm:9 01 rn:5 rt:5                 | str ldr str ldr str ldr - - str ldr - - str ldr - - | | Vs, [Xn/sp] #imm+
v:2 111 1 00 v:2 0 imm:9 11 rn:5 rt:5                 | str ldr str ldr str ldr - - str ldr - - str ldr - - | | Vs, [Xn/sp #imm+]!
v:2 111 1 00 v:2 1 rm:5 option:3 s:1 10 rn:5 rt:5     | str ldr str ldr str ldr - - str ldr - - str ldr - - | | Vs, [Xn/sp, index]
v:2 111 1 01 v:2 imm:12 rn:5 rt:5                     | str ldr str ldr str ldr - - str ldr - - str ldr - - | | Vs, [Xn/sp #imm*size]
size:2 111 0 00 101 11111 110000 rn:5 rt:5                  | ldapr
size:2 111 0 00 a:1 r:1 1 rs:5 0 v:3 00 rn:5 rt:5           | ldadd ldclr ldeor ldset ldsmax ldsmin ldumax ldumin
size:2 111 0 00 a:1 r:1 1 rs:5 1000 00 rn:5 rt:5            | swp
11 111 0 00 001 rs:5 1 v:3 00 rn:5 rt:5                     | - st64b st64bv0 st64bv - ld64b - -
0 s:1 111 0 00 a:1 r:1 1 rs:5 1 v:3 00 rn:5 rt:5            | - rcwclr rcwswp rcwset - - - -
`;

const DATA_REGISTER = `
1 0 v:1 11010110 rm:5 000000 rn:5 rd:5                | subp subps          | | Xd, Xn/sp, Xm/sp
sf:1 00 11010110 rm:5 00001 v:1 rn:5 rd:5             | udiv sdiv           | | Rd, Rn, Rm
1 00 11010110 rm:5 000100 rn:5 rd:5                   | irg
1 00 11010110 rm:5 000101 rn:5 rd:5                   | gmi                 | | Xd, Xn/sp, Xm
sf:1 00 11010110 rm:5 0010 v:2 rn:5 rd:5              | lslv lsrv asrv rorv | | Rd, Rn, Rm
1 00 11010110 rm:5 001100 rn:5 rd:5                   | pacga               | | Xd, Xn, Xm/sp
0 00 11010110 rm:5 010 v:3 rn:5 rd:5                  | crc32b crc32h crc32w - crc32cb crc32ch crc32cw - | | Wd, Wn, Wm
1 00 11010110 rm:5 010 v:1 11 rn:5 rd:5               | crc32x crc32cx      | | Wd, Wn, Xm
sf:1 00 11010110 rm:5 0110 v:2 rn:5 rd:5              | smax umax smin umin | | Rd, Rn, Rm
1 10 11010110 00000 000 v:3 rn:5 rd:5                 | rbit rev16 rev32 rev clz cls ctz cnt | | Rd, Rn
0 10 11010110 00000 000 v:3 rn:5 rd:5                 | rbit rev16 rev - clz cls ctz cnt | | Rd, Rn
sf:1 10 11010110 00000 001000 rn:5 rd:5               | abs                 | | Rd, Rn
1 10 11010110 00001 000 v:3 rn:5 rd:5                 | pacia pacib pacda pacdb autia autib autda autdb | | Xd, Xn/sp
1 10 11010110 00001 001 v:3 11111 rd:5                | paciza pacizb pacdza pacdzb autiza autizb autdza autdzb | | Xd
1 10 11010110 00001 01000 v:1 11111 rd:5              | xpaci xpacd         | | Xd
1 10 11010110 00001 10000 v:1 11111 11110             | pacnbiasppc pacnbibsppc | signs-pc
1 10 11010110 00001 10100 v:1 11111 11110             | paciasppc pacibsppc     | signs-pc
1 10 11010110 00001 10001 v:1 11111 11110             | pacia171615 pacib171615
1 10 11010110 00001 10111 v:1 11111 11110             | autia171615 autib171615
1 10 11010110 00001 10010 v:1 rn:5 11110              | autiasppcr autibsppcr   | | Xn
1 v:2 01010 shift:2 v:1 rm:5 imm:6 rn:5 rd:5          | and bic orr orn eor eon ands bics | | Rd, Rn, Rm shift
0 v:2 01010 shift:2 v:1 rm:5 0 imm:5 rn:5 rd:5        | and bic orr orn eor eon ands bics | | Rd, Rn, Rm shift
1 v:2 01011 0 shift:1 0 rm:5 imm:6 rn:5 rd:5          | add adds sub subs   | | Rd, Rn, Rm shift
1 v:2 01011 10 0 rm:5 imm:6 rn:5 rd:5                 | add adds sub subs   | | Rd, Rn, Rm shift
0 v:2 01011 0 shift:1 0 rm:5 0 imm:5 rn:5 rd:5        | add adds sub subs   | | Rd, Rn, Rm shift
0 v:2 01011 10 0 rm:5 0 imm:5 rn:5 rd:5               | add adds sub subs   | | Rd, Rn, Rm shift
sf:1 v:1 0 01011 001 rm:5 option:3 imm:3 rn:5 rd:5    | add sub             | | Rd/sp, Rn/sp, extended
sf:1 v:1 1 01011 001 rm:5 option:3 imm:3 rn:5 rd:5    | adds subs           | | Rd, Rn/sp, extended
sf:1 v:2 11010000 rm:5 000000 rn:5 rd:5               | adc adcs sbc sbcs   | | Rd, Rn, Rm
1 v:1 0 11010000 rm:5 001 imm:3 rn:5 rd:5             | addpt subpt
1 01 11010000 imm:6 00001 rn:5 0 mask:4               | rmif                | | Xn, #imm, #mask
0 01 11010000 00000 0 v:1 0010 rn:5 01101             | setf8 setf16        | | Wn
sf:1 v:1 1 11010010 rm:5 cond:4 00 rn:5 0 nzcv:4      | ccmn ccmp           | | Rn, Rm, #nzcv, cond
sf:1 v:1 1 11010010 imm:5 cond:4 10 rn:5 0 nzcv:4     | ccmn ccmp           | | Rn, #imm, #nzcv, cond
sf:1 v:1 0 11010100 rm:5 cond:4 0 v:1 rn:5 rd:5       | csel csinc csinv csneg | | Rd, Rn, Rm, cond
sf:1 00 11011 000 rm:5 v:1 ra:5 rn:5 rd:5             | madd msub           | | Rd, Rn, Rm, Ra
1 00 11011 001 rm:5 v:1 ra:5 rn:5 rd:5                | smaddl smsubl       | | Xd, Wn, Wm, Xa
1 00 11011 101 rm:5 v:1 ra:5 rn:5 rd:5                | umaddl umsubl       | | Xd, Wn, Wm, Xa
1 00 11011 v:1 10 rm:5 0 ra:5 rn:5 rd:5               | smulh umulh         | | Xd, Xn, Xm
1 00 11011 011 rm:5 v:1 ra:5 rn:5 rd:5                | maddpt msubpt
`;

/** The whole table, in the order in which it is searched. */
export const ENCODING_TABLE: string = [
  GROUPS,
  DATA_IMMEDIATE,
  BRANCHES,
  SYSTEM,
  LOADS_AND_STORES,
  DATA_REGISTER,
].join("");
