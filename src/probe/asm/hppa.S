; Probe for hppa (PA-RISC 1.1, 32 bits). What every probe does is told in
; src/probe/asm/README.md.
;
; At entry the kernel has put argc into %r25 and argv into %r24, and the stack
; grows up: free space begins at %r30, so the buffer is there and %r30 moves
; above it.
; System call: ble 0x100(%sr2,%r0), the gateway page, which returns to %r31;
; number in %r20, set in the delay slot as is usual, arguments in %r26, %r25,
; %r24, result in %r28. %r1, %r2, %r19 to %r31 are lost, so what must last is
; in %r3 to %r5.
; Numbers: exit 1, read 3, write 4, uname 59.
; Source: Linux arch/parisc/kernel/syscall.S, process.c (start_thread in
; asm/processor.h), arch/parisc/kernel/syscalls/syscall.tbl.
;
; An instruction after a branch (its delay slot, indented by one more) is
; executed whether it is taken or not. Labels begin a line, nothing else does.

#define BUFFER 448              /* struct new_utsname is 6 * 65 = 390 bytes; %r30 stays a multiple of 64 */
#define MACHINE 260             /* its fifth member */

        .level  1.1
        .text
        .globl  _start
_start:
        copy    %r24, %r3               ; %r3: cursor in argv
        copy    %r30, %r4               ; %r4: the buffer
        ldo     BUFFER(%r30), %r30
        ldi     10, %r5                 ; %r5: newline

        ; uname(buffer)
        copy    %r4, %r26
        ble     0x100(%sr2,%r0)
         ldi    59, %r20
        ldo     MACHINE(%r4), %r25      ; the first string to report

        ; puts(%r25): its NUL becomes the newline, so that one write does
puts:
        copy    %r25, %r24
scan:
        ldb     0(%r24), %r19
        comib,<> 0, %r19, scan
         ldo    1(%r24), %r24
        stb     %r5, -1(%r24)
        sub     %r24, %r25, %r24        ; length, newline included
        ldi     1, %r26
        ble     0x100(%sr2,%r0)         ; write(1, %r25, %r24)
         ldi    4, %r20

        ; every argv[i], until the NULL
        ldw     0(%r3), %r25
        comib,<> 0, %r25, puts
         ldo    4(%r3), %r3

        ; an empty line ends the report
        stb     %r5, 0(%r4)
        ldi     1, %r26
        copy    %r4, %r25
        ldi     1, %r24
        ble     0x100(%sr2,%r0)         ; write(1, buffer, 1)
         ldi    4, %r20

        ; hold until one byte or the end of the input: 0 stays at EOF
        stb     %r0, 0(%r4)
        ldi     0, %r26
        copy    %r4, %r25
        ldi     1, %r24
        ble     0x100(%sr2,%r0)         ; read(0, buffer, 1)
         ldi    3, %r20

        ldb     0(%r4), %r26
        ble     0x100(%sr2,%r0)         ; exit(that byte)
         ldi    1, %r20
