"""The smart-coding benchmark in KubeEdge-Ianvs: three folders that ``ianvs -f benchmarkingjob.yaml`` runs, and their data."""
