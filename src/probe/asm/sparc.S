/* Probe for sparc, sparc32plus (-DBITS=32) and sparc64 (-DBITS=64).
 * What every probe does is told in src/probe/asm/README.md.
 *
 * System call: ta 0x10 in the 32-bit ABI, ta 0x6d in the 64-bit one, number in
 * g1, arguments in o0 to o2, result in o0, error told by the carry flag; the
 * other o registers may be lost, so what must last is in l0 to l2.
 * Numbers: exit 1, read 3, write 4, uname 189.
 * Source: Linux arch/sparc/kernel/entry.S, syscalls.S, ttable_64.S,
 * arch/sparc/kernel/syscalls/syscall.tbl.
 *
 * sp: the 16 words above it belong to the kernel, which saves the register
 * window there at any time; argc is above them, and the buffer must be too. In
 * the 64-bit ABI sp is 2047 less than the address that it stands for.
 * An instruction after a branch (its delay slot, indented by one more) is
 * executed whether it is taken or not. */

#if BITS == 64
#define TRAP 0x6d
#define BIAS 2047
#define LOAD_POINTER ldx
#else
#define TRAP 0x10
#define BIAS 0
#define LOAD_POINTER ld
#endif
#define WORD (BITS / 8)
#define WINDOW (16 * WORD)
#define BUFFER 400              /* struct new_utsname is 6 * 65 = 390 bytes; sp stays a multiple of 16 */
#define MACHINE 260             /* its fifth member */

        .text
        .globl  _start
_start:
        add     %sp, BIAS + WINDOW + WORD, %l0  /* l0: cursor in argv, just above argc */
        sub     %sp, BUFFER, %sp                /* the kernel's 16 words move along */
        add     %sp, BIAS + WINDOW, %l1         /* l1: the buffer */
        mov     '\n', %l2

        /* uname(buffer) */
        mov     %l1, %o0
        mov     189, %g1
        ta      TRAP
        add     %l1, MACHINE, %o1               /* the first string to report */

        /* puts(o1): its NUL becomes the newline, so that one write does */
puts:
        mov     %o1, %o2
scan:
        ldub    [%o2], %o3
        cmp     %o3, 0
        bne     scan
         add    %o2, 1, %o2
        stb     %l2, [%o2 - 1]
        sub     %o2, %o1, %o2                   /* length, newline included */
        mov     1, %o0
        mov     4, %g1                          /* write(1, o1, o2) */
        ta      TRAP

        /* every argv[i], until the NULL */
        LOAD_POINTER [%l0], %o1
        cmp     %o1, 0
#if BITS == 64
        bne     %xcc, puts                      /* all 64 bits count */
#else
        bne     puts
#endif
         add    %l0, WORD, %l0

        /* an empty line ends the report */
        stb     %l2, [%l1]
        mov     1, %o0
        mov     %l1, %o1
        mov     1, %o2
        mov     4, %g1                          /* write(1, buffer, 1) */
        ta      TRAP

        /* hold until one byte or the end of the input: 0 stays at EOF */
        stb     %g0, [%l1]
        mov     0, %o0
        mov     %l1, %o1
        mov     1, %o2
        mov     3, %g1                          /* read(0, buffer, 1) */
        ta      TRAP

        ldub    [%l1], %o0
        mov     1, %g1                          /* exit(that byte) */
        ta      TRAP
