/* SPDX-License-Identifier: MIT */
/*
 * boot.h - from the fork to a child's main function
 *
 * Runs in   the child, right after its fork
 * Promises  does not return; what the child may not see of the configuration
 *           is wiped before its code runs
 */
#ifndef PGD_MASTER_BOOT_H
#define PGD_MASTER_BOOT_H

#include <sys/types.h>

struct child;
struct master;

_Noreturn void boot_child(struct master *, const struct child *, pid_t parent,
    int control_fd, int log_fd);

#endif
