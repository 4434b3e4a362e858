"""Coroutines of a session host in gdb, of a live process or a core file.

    (gdb) source docs/gdb/merpati-co.py
    (gdb) merpati-co                 list them: id, name, state, what each waits for and for how long
    (gdb) merpati-co bt ID           backtrace of one
    (gdb) merpati-co bt all          backtraces of all
    (gdb) merpati-co do ID COMMAND   any command in its frames, e.g. "up 3", "info locals"

A parked coroutine has its registers on its stack (lib/io/switch_co.c). For a backtrace an unwinder puts
these in the place of the caller of the innermost frame, so that nothing in the process is changed.

Take cores from the kernel (ulimit -c): gdb's own gcore leaves out whole blocks around guard pages, and the
stacks with them, where these are marks in the page tables (Linux 6.13).
"""
import gdb
from gdb.unwinder import Unwinder

# Saved registers in the order of the stack, from the stack pointer on; then the octets to skip.
SAVED = {
    "x86": (["r15", "r14", "r13", "r12", "rbx", "rbp", "rip"], 56),
    "aarch64": (["x%d" % n for n in range(19, 31)], 160),
}


def arch_of(name):
    return "aarch64" if name.startswith("aarch64") else "x86"


class Parked(Unwinder):
    """While it has a stack pointer, the caller of frame 0 is the parked coroutine."""

    def __init__(self):
        super().__init__("merpati-co")
        self.sp = None

    def __call__(self, frame):
        if self.sp is None or frame.level() != 0:
            return None
        arch = arch_of(frame.architecture().name())
        names, size = SAVED[arch]
        word = gdb.lookup_type("unsigned long").pointer()
        saved = gdb.Value(self.sp).cast(word)
        sp_name, pc_name = ("sp", "pc") if arch == "aarch64" else ("rsp", "rip")
        # gdb wants callers at higher addresses, so frame 0 claims to be just below.
        below = gdb.Value(self.sp - 16).cast(gdb.lookup_type("unsigned long"))
        info = frame.create_unwind_info(FrameId(below, frame.read_register(pc_name)))
        for at, name in enumerate(names):
            info.add_saved_register("pc" if name == "x30" else name, saved[at])
            if name == "x30":
                info.add_saved_register("x30", saved[at])
        info.add_saved_register(sp_name, gdb.Value(self.sp + size).cast(gdb.lookup_type("unsigned long")))
        return info


class FrameId:
    def __init__(self, sp, pc):
        self.sp = sp
        self.pc = pc


unwinder = Parked()
gdb.unwinder.register_unwinder(None, unwinder, True)


def scheduler():
    return gdb.parse_and_eval("'sched_co.c'::sched")


def coroutines():
    sched = scheduler()
    for slot in range(int(sched["slot_count"])):
        co = sched["slots"][slot]["co"]
        if int(co) != 0:
            yield co


def text_of(co):
    state = ("ready", "running", "parked")[int(co["state"])]
    seconds = (int(scheduler()["loop"]["now"]) - int(co["since"])) / 1000 if int(scheduler()["loop"]) else 0
    waits = "waits for %s, %.1f s" % (co["waiting_for"].string(), seconds) if state == "parked" else state
    flags = " cancelled" if bool(co["cancelled"]) else ""
    return "%d  %s  %s%s" % (int(co["id"]), co["name"].string(), waits, flags)


def in_frames_of(co, commands):
    """Runs commands with the coroutine's frames in the place of frame 1 and above."""
    if int(co["state"]) == 1:
        gdb.execute("frame 0", to_string=True)
        for command in commands:
            gdb.execute(command)
        return
    try:
        unwinder.sp = int(co["context"]["sp"])
    except gdb.error:
        raise gdb.GdbError("this build switches by ucontext: its saved registers are in context.machine")
    gdb.invalidate_cached_frames()
    try:
        gdb.execute("frame 1", to_string=True)
        for command in commands:
            gdb.execute(command)
    finally:
        unwinder.sp = None
        gdb.invalidate_cached_frames()
        gdb.execute("frame 0", to_string=True)


class Command(gdb.Command):
    """Coroutines: merpati-co [bt ID | bt all | do ID COMMAND]"""

    def __init__(self):
        super().__init__("merpati-co", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        words = argument.split(None, 2)
        if not words:
            for co in coroutines():
                print(text_of(co))
            print("%d coroutines" % int(scheduler()["count"]))
            return
        if len(words) < 2 or words[0] not in ("bt", "do") or (words[0] == "do") != (len(words) == 3):
            raise gdb.GdbError(self.__doc__)
        chosen = [co for co in coroutines() if words[1] in ("all", str(int(co["id"])))]
        if not chosen:
            raise gdb.GdbError("no coroutine has the id " + words[1])
        for co in chosen:
            print(text_of(co))
            in_frames_of(co, ["bt" if words[0] == "bt" else words[2]])


Command()
