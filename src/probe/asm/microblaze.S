/* Probe for microblaze and microblazeel. Base instructions only: no barrel
 * shifter, no multiplier, no pattern compare.
 * What every probe does is told in src/probe/asm/README.md.
 *
 * System call: brki r14, 8, number in r12, arguments in r5 to r7, result in
 * r3; r3, r4, r14 and the temporaries r5 to r12 are lost, so what must last is
 * in r19 and r20.
 * Numbers: exit 1, read 3, write 4, uname 122.
 * Source: Linux arch/microblaze/kernel/entry.S, arch/microblaze/kernel/syscalls/syscall.tbl. */

#define BUFFER 400              /* struct new_utsname is 6 * 65 = 390 bytes; r1 stays a multiple of 4 */
#define MACHINE 260             /* its fifth member */

        .text
        .globl  _start
_start:
        addik   r19, r1, 4              /* r19: cursor in argv, just above argc */
        addik   r1, r1, -BUFFER
        addik   r20, r0, 10             /* r20: '\n' */

        /* uname(buffer) */
        addk    r5, r1, r0
        addik   r12, r0, 122
        brki    r14, 8
        addik   r6, r1, MACHINE         /* the first string to report */

        /* puts(r6): its NUL becomes the newline, so that one write does */
puts:
        addk    r7, r6, r0
scan:
        lbui    r8, r7, 0
        addik   r7, r7, 1
        bnei    r8, scan
        sbi     r20, r7, -1
        rsubk   r7, r6, r7              /* length, newline included: rsubk subtracts its first operand */
        addik   r5, r0, 1
        addik   r12, r0, 4              /* write(1, r6, r7) */
        brki    r14, 8

        /* every argv[i], until the NULL */
        lwi     r6, r19, 0
        addik   r19, r19, 4
        bnei    r6, puts

        /* an empty line ends the report */
        sbi     r20, r1, 0
        addik   r5, r0, 1
        addk    r6, r1, r0
        addik   r7, r0, 1
        addik   r12, r0, 4              /* write(1, buffer, 1) */
        brki    r14, 8

        /* hold until one byte or the end of the input: 0 stays at EOF */
        sbi     r0, r1, 0
        addk    r5, r0, r0
        addk    r6, r1, r0
        addik   r7, r0, 1
        addik   r12, r0, 3              /* read(0, buffer, 1) */
        brki    r14, 8

        lbui    r5, r1, 0
        addik   r12, r0, 1              /* exit(that byte) */
        brki    r14, 8
