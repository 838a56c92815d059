# The rooms: every .c file of the module, and nothing else.  This is the only
# list there is; Makefile.in, config3.m4 and bootstrap read it, so a new room
# is one new line.  One name a line; event.c first.
EVENT_SOURCES = \
    event.c \
    settings.c \
    startup.c \
    parent.c \
    children.c \
    slots.c \
    signals.c \
    spawn.c \
    child.c \
    pod.c \
    listener.c \
    drain.c \
    acceptor.c \
    admission.c \
    doors.c \
    siblings.c \
    shortage.c \
    heads.c \
    peek.c \
    late.c \
    worker.c \
    turn.c \
    conn.c \
    request.c \
    session.c \
    quota.c \
    linger.c \
    runtime.c \
    gate.c \
    clients.c \
    parking.c \
    waits.c \
    poller.c \
    held.c \
    leaving.c \
    tasks.c \
    timers.c \
    fdqueue.c \
    crew.c \
    blocked.c \
    trial.c \
    width.c \
    places.c \
    ptrans.c \
    status.c
