package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"nimbus/client"
)

func newFunctionCreateCommand(c *cli) *cobra.Command {
	var s settings
	var code codeFlags
	cmd := &cobra.Command{
		Use:   "create NAME",
		Short: "Create a function",
		Example: "nimbus function create hello --file handler.py\n" +
			"nimbus function create add --code 'def handle(event): return event[\"a\"] + event[\"b\"]'",
		Args: arguments("NAME"),
		RunE: func(cmd *cobra.Command, args []string) error {
			in, err := s.input(cmd.Flags())
			if err != nil {
				return err
			}
			if err := code.check(cmd.Flags()); err != nil {
				return err
			}
			if !code.given(cmd.Flags()) {
				return usagef("the code is missing; give --code, --file, --zip or --dir")
			}
			in.Name = args[0]
			return c.sendFunction(cmd, "creating "+args[0], args[0], code, in,
				func(ctx context.Context, api *client.Client, in client.FunctionInput) (*client.Function, error) {
					return api.CreateFunction(ctx, in)
				})
		},
	}
	code.addFlags(cmd)
	s.addFlags(cmd)
	return cmd
}

func newFunctionUpdateCommand(c *cli) *cobra.Command {
	var s settings
	var code codeFlags
	var status string
	cmd := &cobra.Command{
		Use:               "update NAME",
		Short:             "Change a function's code or settings",
		Long:              "Change a function's code or settings. Only what a flag gives is changed; a change of either makes\na new version and switches to it at once, or as soon as it is built.",
		Example:           "nimbus function update hello --memory-mb 512\nnimbus function update hello --status inactive",
		Args:              arguments("NAME"),
		ValidArgsFunction: c.completeFunctions,
		RunE: func(cmd *cobra.Command, args []string) error {
			in, err := s.input(cmd.Flags())
			if err != nil {
				return err
			}
			if err := code.check(cmd.Flags()); err != nil {
				return err
			}
			if !anyGiven(cmd.LocalNonPersistentFlags()) {
				return usagef("nothing to change; see `%s --help`", cmd.CommandPath())
			}
			in.Status = given(cmd.Flags(), "status", &status)
			return c.sendFunction(cmd, "updating "+args[0], args[0], code, in,
				func(ctx context.Context, api *client.Client, in client.FunctionInput) (*client.Function, error) {
					return api.UpdateFunction(ctx, args[0], in)
				})
		},
	}
	code.addFlags(cmd)
	s.addFlags(cmd)
	cmd.Flags().StringVar(&status, "status", "", "active or inactive, given alone; an inactive function refuses calls")
	return cmd
}

func anyGiven(flags *pflag.FlagSet) bool {
	given := false
	flags.VisitAll(func(f *pflag.Flag) { given = given || f.Changed })
	return given
}

// codeFlags say where the code is; one of them at most.
type codeFlags struct{ text, file, zip, dir string }

func (f *codeFlags) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.text, "code", "", "the code itself, as text")
	cmd.Flags().StringVar(&f.file, "file", "", "file that is the code")
	cmd.Flags().StringVar(&f.zip, "zip", "", "zip file that holds the code")
	cmd.Flags().StringVar(&f.dir, "dir", "", "directory that holds the code")
	_ = cmd.MarkFlagDirname("dir") // the flag is there
	_ = cmd.MarkFlagFilename("zip", "zip")
}

func (f *codeFlags) names(flags *pflag.FlagSet) []string {
	var names []string
	for _, name := range []string{"code", "file", "zip", "dir"} {
		if flags.Changed(name) {
			names = append(names, "--"+name)
		}
	}
	return names
}

func (f *codeFlags) given(flags *pflag.FlagSet) bool { return len(f.names(flags)) > 0 }

func (f *codeFlags) check(flags *pflag.FlagSet) error {
	if names := f.names(flags); len(names) > 1 {
		return usagef("%s exclude each other", strings.Join(names, " and "))
	}
	return nil
}

// attach reads the code that the flags name into in.
func (f *codeFlags) attach(ctx context.Context, in *client.FunctionInput, flags *pflag.FlagSet) (release func(), err error) {
	nothing := func() {}
	switch names := f.names(flags); {
	case len(names) == 0:
		return nothing, nil
	case names[0] == "--code":
		in.Code = &f.text
		return nothing, nil
	case names[0] == "--zip":
		return attachZip(in, f.zip)
	case names[0] == "--file":
		return attachFile(in, f.file)
	}
	return attachDir(ctx, in, f.dir)
}

// sendFunction creates or updates and prints what came of it.
func (c *cli) sendFunction(cmd *cobra.Command, what, function string, code codeFlags, in client.FunctionInput,
	send func(context.Context, *client.Client, client.FunctionInput) (*client.Function, error),
) error {
	api, err := c.client()
	if err != nil {
		return err
	}
	var f *client.Function
	err = c.buildProgress(cmd.Context(), api, function, what, func(ctx context.Context) error {
		release, err := code.attach(ctx, &in, cmd.Flags())
		if err != nil {
			return err
		}
		defer release()
		f, err = send(ctx, api, in)
		return err
	})
	if err != nil {
		return missing(err, "nimbus function list")
	}
	if err := c.printFunction(api, f); err != nil {
		return err
	}
	return c.reportBuild(f)
}
