package main

import (
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"go.etcd.io/etcd/server/v3/embed"
)

// etcdCommand runs one etcd member until SIGTERM, SIGINT or its own failure.
func etcdCommand() *cobra.Command {
	var config string
	cmd := &cobra.Command{
		Use:          "etcd",
		SilenceUsage: true,
		RunE:         func(*cobra.Command, []string) error { return serveEtcd(config) },
	}
	cmd.Flags().StringVar(&config, "config-file", "", "etcd configuration (YAML)")
	return cmd
}

func serveEtcd(config string) error {
	cfg, err := embed.ConfigFromFile(config)
	if err != nil {
		return err
	}
	member, err := embed.StartEtcd(cfg)
	if err != nil {
		return err
	}
	defer member.Close()
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	select {
	case <-stop:
		return nil
	case err := <-member.Err():
		return err
	}
}
