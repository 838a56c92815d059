# The rooms: every .c file of the module, and nothing else.  This is the only
# list there is; Makefile.in, config3.m4 and bootstrap read it, so a new room
# is one new line.  One name a line; event.c first.
EVENT_SOURCES = \
    settings.c \
    signals.c \
    pod.c \
    conn.c \
    linger.c \
    runtime.c \
    parking.c \
    held.c \
    fdqueue.c \
    status.c \
    spawn.c
