/* Parameters and tables for the processes that master starts.
 *
 * Called from a program's start(), before the sandbox. */
#ifndef PROC_TABLES_H
#define PROC_TABLES_H

#include "lib/param/param.h"
#include "lib/proc/proc.h"
#include "lib/table/table.h"

/* The tables of the process, made at the first call: files are those that master opened, proxy:
 * tables ask proxymap, warnings go to the log. A new descriptor for a file reaches the tables
 * before the program's file_changed() is called. Borrowed, lives as long as the process. */
struct tables *proc_tables(struct proc *p);

/* Loads the parameters of one owner, which then live as long as the process.
 * result: NULL after proc_trouble() has named what is wrong */
#define PROC_PARAMS_DECLARE(owner) const struct params_##owner *proc_params_##owner(struct proc *p);
PROC_PARAMS_DECLARE(main)
PROC_PARAMS_DECLARE(rewrite)
PROC_PARAMS_DECLARE(smtpd)
PROC_PARAMS_DECLARE(cleanup)
PROC_PARAMS_DECLARE(qmgr)
PROC_PARAMS_DECLARE(local)
PROC_PARAMS_DECLARE(virtual)
PROC_PARAMS_DECLARE(pipe)
PROC_PARAMS_DECLARE(bounce)
PROC_PARAMS_DECLARE(pickup)
PROC_PARAMS_DECLARE(proxymap)
PROC_PARAMS_DECLARE(anvil)
PROC_PARAMS_DECLARE(pop3d)
PROC_PARAMS_DECLARE(dnsd)
PROC_PARAMS_DECLARE(sasl)
PROC_PARAMS_DECLARE(merpati)
PROC_PARAMS_DECLARE(smtp)
#undef PROC_PARAMS_DECLARE
/* The same of the SMTP client where it speaks LMTP. */
const struct params_smtp *proc_params_lmtp(struct proc *p);

#endif
