package main

import (
	"github.com/spf13/cobra"

	"kinfold/processor/try"
	"kinfold/schemas/sources"
)

func sourcesCommand() *cobra.Command {
	var yaml, noColor bool
	cmd := &cobra.Command{
		Use:   "sources [NAME] [--yaml]",
		Short: "List the sources that kinfold knows, or explain one",
		Long: `Lists the mappings that come with kinfold: for each system the form of its records, and by what a repeated one is known.

With a NAME, tells what the mapping reads, by what it knows duplicates and customers, what goes wrong with this
source, and how to make the mapping your own; then prints it. --yaml prints the file alone.`,
		Example: `  kinfold sources
  kinfold sources shopify
  kinfold sources shopify --yaml > my-shopify.yaml`,
		Args:              atMostOne("NAME"),
		ValidArgsFunction: completeSources,
		RunE: func(cmd *cobra.Command, args []string) error {
			out := cmd.OutOrStdout()
			colour := wantsColour(out, noColor)
			switch {
			case len(args) == 0 && yaml:
				return usageError{errNoSource}
			case len(args) == 0:
				return try.List(out, colour)
			case !yaml:
				return try.Explain(out, args[0], colour)
			}
			text, err := sources.Read(args[0])
			if err == nil {
				_, err = out.Write(text)
			}
			return err
		},
	}
	cmd.Flags().BoolVar(&yaml, "yaml", false, "print the file of NAME, and nothing else")
	cmd.Flags().BoolVar(&noColor, "no-color", false, "plain text, also on a terminal")
	return cmd
}

func completeSources(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return sources.Names(), cobra.ShellCompDirectiveDefault
}
