// Package sandbox is the driver that makes instances of Linux namespaces.
//
// # How an instance comes to be
//
// One zygote a runtime is PID 1 of a PID namespace in a user namespace of its own, with a read-only root that
// shows the host's /usr and little else. It holds no user code, so what it starts can serve anyone. Python's is
// an interpreter with the standard library imported, which forks (zygote.py). Every other runtime's is nimbus-agent,
// which executes: Node has threads, and a program of one file has nothing to share (package spawn).
//
// For a blank the driver makes a cgroup, a socket and two pipes ahead and sends their descriptors with a
// request. The zygote makes a PID namespace and one process in it. That is PID 1 there; by itself it enters the
// cgroup, unshares the rest, mounts /proc, /tmp and /dev/shm, takes on a user id nobody else has, drops what
// rights are left (capabilities, Landlock, seccomp last: a filter would forbid the steps before it), executes the
// runtime's program unless it is one already, and says Hello. All of that is done before the blank is offered.
// What instances are held to is one Policy for both kinds of zygote.
//
// A claim is then: attach the tree of code to the blank's mount namespace from a thread of the server's,
// rewrite the cgroup's limits, send Init. No directory descriptor ever enters an instance: one would be a
// way out of its root.
//
// Calls then take turns at the connection, and what is printed is theirs in turn. Where Init said that several run at
// once, a wire.Mux takes the connection over, and calls print in its frames (shared.go).
//
// # How it ends
//
// Killing PID 1 ends its PID namespace, so one signal ends all an instance ever started. The zygote reaps it
// and reports the status; the driver drains the pipes, removes the cgroup and closes Done. A zygote dies
// with the server (the kernel's parent-death signal, and the end of its control socket) and takes its
// instances along; what is left then are cgroups, which Sweep removes at the next start.
//
// The mechanism and its cost were measured before it was built; RATIONALE.md has the account.
package sandbox
