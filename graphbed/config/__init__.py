"""The job's configuration: one YAML file, every key documented, unknown keys refused."""
