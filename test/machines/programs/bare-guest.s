# A guest without an operating system, for QEMU: every processor waits for a number in `rounds`, calls
# the functions below that often, and says so in `done`. Each function counts its own calls, one counter
# a processor, so that hits can be held against them. Interrupts of each processor's own timer come
# all the while; faults are counted, with where they were.
#
# Facts: Multiboot Specification 0.6.96, 3.1 (the header, and the state at the entry); Intel SDM vol. 3,
# 9.8.5 (into 64-bit mode), 8.4.4 (starting processors), 10.4 to 10.6 (the local APIC), 6.14 (the stack
# at an interrupt).

.set APIC, 0xfee00000
.set APIC_ID, 0x20
.set APIC_EOI, 0xb0
.set APIC_SPURIOUS, 0xf0
.set APIC_COMMAND, 0x300
.set APIC_TIMER, 0x320
.set APIC_TIMER_COUNT, 0x380
.set APIC_TIMER_DIVIDE, 0x3e0
.set TIMER_VECTOR, 32
.set TRAMPOLINE, 0x8000
.set CPU_MAX, 4
.set STACK_BYTES, 16384

        .section .multiboot, "a"
        .align 4
        .long 0x1badb002, 0, -0x1badb002

        .text
        .code32
        .globl _start
_start:
        # Page directories: 4 GiB, each page where it is, in pages of 2 MiB.
        movl $page_directories, %edi
        movl $0x83, %eax
        movl $2048, %ecx
1:      movl %eax, (%edi)
        movl $0, 4(%edi)
        addl $0x200000, %eax
        addl $8, %edi
        loop 1b
        movl $page_directories + 3, %eax
        movl $page_pointers, %edi
        movl $4, %ecx
1:      movl %eax, (%edi)
        addl $0x1000, %eax
        addl $8, %edi
        loop 1b
        movl $page_pointers + 3, page_map
        movl $to_long_mode_end - to_long_mode, %ecx
        call to_long_mode
to_long_mode:
        popl %eax
        movl $page_map, %eax
        movl %eax, %cr3
        movl %cr4, %eax
        orl $0x620, %eax                # PAE, and SSE as systems have it
        movl %eax, %cr4
        movl $0xc0000080, %ecx          # EFER: long mode
        rdmsr
        orl $0x100, %eax
        wrmsr
        movl %cr0, %eax
        orl $0x80000001, %eax
        movl %eax, %cr0
        lgdt gdt_pointer
        ljmp $8, $first_processor
to_long_mode_end:

# What a processor executes that was just started: in 16 bits, at TRAMPOLINE.
        .code16
trampoline:
        cli
        xorw %ax, %ax
        movw %ax, %ds
        lgdtl TRAMPOLINE + trampoline_gdt_pointer - trampoline
        movl $page_map, %eax
        movl %eax, %cr3
        movl %cr4, %eax
        orl $0x620, %eax
        movl %eax, %cr4
        movl $0xc0000080, %ecx
        rdmsr
        orl $0x100, %eax
        wrmsr
        movl %cr0, %eax
        orl $0x80000001, %eax
        movl %eax, %cr0
        ljmpl $8, $other_processor
        .align 8
trampoline_gdt_pointer:
        .word 23
        .long gdt
trampoline_end:

        .code64
first_processor:
        movw $16, %ax
        movw %ax, %ds
        movw %ax, %es
        movw %ax, %ss
        leaq stacks + STACK_BYTES, %rsp
        # Interrupts: all but two are of no matter.
        leaq ignore, %rax
        leaq idt, %rdi
        movl $256, %ecx
1:      call set_gate
        addq $16, %rdi
        loop 1b
        leaq timer, %rax
        leaq idt + 16 * TIMER_VECTOR, %rdi
        call set_gate
        leaq page_fault, %rax
        leaq idt + 16 * 14, %rdi
        call set_gate
        # The other processors: INIT, then the page of the trampoline, to all but this one.
        leaq trampoline, %rsi
        movl $TRAMPOLINE, %edi
        movl $trampoline_end - trampoline, %ecx
        rep movsb
        movl $APIC, %ebx
        movl $0x1ff, APIC_SPURIOUS(%rbx)
        movl $0xc4500, APIC_COMMAND(%rbx)
        movl $10000000, %ecx
1:      loop 1b
        movl $0xc4600 | (TRAMPOLINE >> 12), APIC_COMMAND(%rbx)
        xorl %r12d, %r12d
        jmp work

other_processor:
        movw $16, %ax
        movw %ax, %ds
        movw %ax, %es
        movw %ax, %ss
        movl $1, %r12d
        lock xaddl %r12d, next_processor
        imulq $STACK_BYTES, %r12, %rsp
        addq $stacks + STACK_BYTES, %rsp

# r12: which processor this is.
work:
        lidt idt_pointer
        movl $APIC, %ebx
        movl $0x1ff, APIC_SPURIOUS(%rbx)
        movl $0xb, APIC_TIMER_DIVIDE(%rbx)
        movl $0x20000 | TIMER_VECTOR, APIC_TIMER(%rbx)
        movl $4000000, APIC_TIMER_COUNT(%rbx)
        sti
        lock incl processors
await:
        pause
        movq rounds(, %r12, 8), %r13
        testq %r13, %r13
        jz await
        movq $0, rounds(, %r12, 8)
        movq %r13, %r14
round:
        movq %r13, %rdi
        leaq greeting(%rip), %rsi
call_site:
        call hot
        movq %rax, %rdi
        call copy
        call nothing
        movl $3, %edi
        call recurse
        call touch
        decq %r13
        jnz round
        addq %r14, done(, %r12, 8)
        jmp await

# Each has instructions of its own kinds to be probed; all count in counters[which][processor].
        .globl hot, hot_move, hot_count, hot_pop, hot_return
        .align 16
hot:
        pushq %rbp
hot_move:
        movq %rsp, %rbp
hot_count:
        incq hot_calls(, %r12, 8)
        leaq 1(%rdi, %rdi), %rax
hot_pop:
        popq %rbp
hot_return:
        ret

        .align 16
copy:
        leaq copied(%rip), %rdi
        leaq greeting(%rip), %rsi
        movl $12, %ecx
copy_bytes:
        rep movsb
        incq copy_calls(, %r12, 8)
        ret

        .align 16
nothing:
        nopl 8(%rax, %rax)
nothing_jump:
        jmp nothing_count
        ud2
nothing_count:
        incq nothing_calls(, %r12, 8)
        ret

# Calls itself edi times; each call has a frame of its own.
        .align 16
recurse:
        pushq %rdi
        incq recurse_calls(, %r12, 8)
        testl %edi, %edi
        jz recurse_end
        decl %edi
recurse_call:
        call recurse
recurse_end:
        popq %rdi
        movl %edi, %eax
        ret

# Reads where nothing is: the handler steps over it.
        .align 16
touch:
        movabsq $0x7f0000000000, %rdi
        incq touch_calls(, %r12, 8)
touch_read:
        movq (%rdi), %rax
        ret
touch_end:

timer:
        pushq %rax
        lock incq ticks
timer_count:
        movl $APIC, %eax
        movl $0, APIC_EOI(%rax)
        popq %rax
        iretq

page_fault:
        pushq %rax
        movq 16(%rsp), %rax             # pc, behind what was pushed here and the error code
        movq %rax, fault_at
        cmpq $touch_read, %rax
        je 1f
        lock incq wrong_faults
1:      addq $3, 16(%rsp)
        lock incq faults
        popq %rax
        addq $8, %rsp
        iretq

ignore:
        iretq

# rdi: a gate of the table, rax: where it goes. Interrupts are off there.
set_gate:
        movw %ax, (%rdi)
        movw $8, 2(%rdi)
        movw $0x8e00, 4(%rdi)
        movq %rax, %rdx
        shrq $16, %rdx
        movw %dx, 6(%rdi)
        shrq $16, %rdx
        movl %edx, 8(%rdi)
        movl $0, 12(%rdi)
        ret

        .globl room, room_end
        .align 64
room:
        .fill 65536, 1, 0xcc
room_end:

        .data
        .align 16
gdt:
        .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
gdt_pointer:
        .word 23
        .long gdt
        .align 16
idt_pointer:
        .word 4095
        .quad idt
greeting:
        .asciz "hello, guest"
next_processor:
        .long 1
        .align 64
processors:     .quad 0
ticks:          .quad 0
faults:         .quad 0
fault_at:       .quad 0
wrong_faults:   .quad 0
rounds:         .fill CPU_MAX, 8, 0
done:           .fill CPU_MAX, 8, 0
hot_calls:      .fill CPU_MAX, 8, 0
copy_calls:     .fill CPU_MAX, 8, 0
nothing_calls:  .fill CPU_MAX, 8, 0
recurse_calls:  .fill CPU_MAX, 8, 0
touch_calls:    .fill CPU_MAX, 8, 0
copied:         .fill 16, 1, 0

        .bss
        .align 4096
page_map:         .skip 4096
page_pointers:    .skip 4096
page_directories: .skip 4 * 4096
idt:              .skip 4096
stacks:           .skip CPU_MAX * STACK_BYTES
