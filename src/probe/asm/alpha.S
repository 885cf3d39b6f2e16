/* Probe for alpha. What every probe does is told in src/probe/asm/README.md.
 *
 * System call: callsys, number in v0 ($0), arguments in a0 to a2 ($16 to $18),
 * result in v0, error told by a3 ($19); t0 to t12 are lost, so what must last
 * is in s0 to s2 ($9 to $11).
 * Numbers: exit 1, read 3, write 4, uname 339 (207 is OSF's, with a shorter structure).
 * Source: Linux arch/alpha/kernel/entry.S, arch/alpha/kernel/syscalls/syscall.tbl.
 *
 * ldbu and stb are macros here: the first Alphas have no byte instructions, so
 * the assembler writes them with aligned quadwords, through $at and t9 to t12. */

#define BUFFER 400              /* struct new_utsname is 6 * 65 = 390 bytes; sp stays a multiple of 16 */
#define MACHINE 260             /* its fifth member */

        .arch   ev4
        .text
        .globl  _start
_start:
        lda     $9, 8($30)              /* s0: cursor in argv, just above argc */
        lda     $30, -BUFFER($30)
        lda     $10, 10($31)            /* s1: '\n' */

        /* uname(buffer) */
        mov     $30, $16
        lda     $0, 339($31)
        callsys
        lda     $17, MACHINE($30)       /* the first string to report */

        /* puts(a1): its NUL becomes the newline, so that one write does */
puts:
        mov     $17, $18
scan:
        ldbu    $1, 0($18)
        lda     $18, 1($18)
        bne     $1, scan
        stb     $10, -1($18)
        subq    $18, $17, $18           /* length, newline included */
        lda     $16, 1($31)
        lda     $0, 4($31)              /* write(1, a1, a2) */
        callsys

        /* every argv[i], until the NULL */
        ldq     $17, 0($9)
        lda     $9, 8($9)
        bne     $17, puts

        /* an empty line ends the report; the byte is the low one of a quadword */
        stq     $10, 0($30)
        lda     $16, 1($31)
        mov     $30, $17
        lda     $18, 1($31)
        lda     $0, 4($31)              /* write(1, buffer, 1) */
        callsys

        /* hold until one byte or the end of the input: 0 stays at EOF */
        stq     $31, 0($30)
        mov     $31, $16
        mov     $30, $17
        lda     $18, 1($31)
        lda     $0, 3($31)              /* read(0, buffer, 1) */
        callsys

        ldq     $16, 0($30)
        lda     $0, 1($31)              /* exit(that byte) */
        callsys
