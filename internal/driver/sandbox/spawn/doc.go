// Package spawn starts the processes of instances from inside a zygote's namespaces, on behalf of the sandbox
// driver. It is what nimbus-agent is in the modes zygote and instance, and the messages between it and the
// driver. Python's zygote, zygote.py, forks instead and keeps to the same protocol and Policy.
//
// For each request the zygote starts itself again, in the mode instance, as PID 1 of a new PID namespace. That
// process takes the steps that lead into isolation on one locked thread, for most of them are a thread's own,
// and executes the runtime's program from it: the program finds itself where the thread was, and nothing of
// what the steps needed remains.
package spawn
