"""The partitionserver: streams immutable partition versions in and out."""
