/* Probe for ppc (-DBITS=32), ppc64 and ppc64le (-DBITS=64).
 * What every probe does is told in src/probe/asm/README.md.
 *
 * ppc64 is ELFv1: its e_entry names a function descriptor, which whoever
 * builds the file puts before this code; the code itself is plain in all three
 * and needs no TOC.
 * System call: sc, number in r0, arguments in r3 to r5, result in r3, error in
 * CR0.SO; r0, r3 to r12 and cr0 are lost, so what must last is in r30 and r31.
 * Numbers: exit 1, read 3, write 4, uname 122.
 * Source: Linux Documentation/powerpc/syscall64-abi.rst,
 * arch/powerpc/kernel/syscalls/syscall.tbl. */

#if BITS == 64
#define LOAD_POINTER ld
#else
#define LOAD_POINTER lwz
#endif
#define WORD (BITS / 8)
#define BUFFER 400              /* struct new_utsname is 6 * 65 = 390 bytes; r1 stays a multiple of 16 */
#define MACHINE 260             /* its fifth member */

        .text
        .globl  _start
_start:
        addi    %r31, %r1, WORD         /* r31: cursor in argv, just above argc */
        addi    %r1, %r1, -BUFFER
        li      %r30, '\n'

        /* uname(buffer) */
        mr      %r3, %r1
        li      %r0, 122
        sc
        addi    %r4, %r1, MACHINE       /* the first string to report */

        /* puts(r4): its NUL becomes the newline, so that one write does */
puts:
        mr      %r5, %r4
scan:
        lbz     %r6, 0(%r5)
        addi    %r5, %r5, 1
        cmpwi   %r6, 0
        bne     scan
        stb     %r30, -1(%r5)
        subf    %r5, %r4, %r5           /* length, newline included */
        li      %r3, 1
        li      %r0, 4                  /* write(1, r4, r5) */
        sc

        /* every argv[i], until the NULL */
        LOAD_POINTER %r4, 0(%r31)
        addi    %r31, %r31, WORD
#if BITS == 64
        cmpdi   %r4, 0
#else
        cmpwi   %r4, 0
#endif
        bne     puts

        /* an empty line ends the report */
        stb     %r30, 0(%r1)
        li      %r3, 1
        mr      %r4, %r1
        li      %r5, 1
        li      %r0, 4                  /* write(1, buffer, 1) */
        sc

        /* hold until one byte or the end of the input: 0 stays at EOF */
        li      %r3, 0
        stb     %r3, 0(%r1)
        mr      %r4, %r1
        li      %r5, 1
        li      %r0, 3                  /* read(0, buffer, 1) */
        sc

        lbz     %r3, 0(%r1)
        li      %r0, 1                  /* exit(that byte) */
        sc
