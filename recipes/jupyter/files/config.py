# Whoever reaches the grain may use it: no password, no token. Its only user is root, as far as it knows.
c.NotebookApp.ip = "127.0.0.1"
c.NotebookApp.port = 8000
c.NotebookApp.open_browser = False
c.NotebookApp.token = ""
c.NotebookApp.password = ""
c.NotebookApp.allow_root = True
c.NotebookApp.notebook_dir = "/var/lib/jupyter/notebooks"
# A pruned root has few programs for a shell.
c.NotebookApp.terminals_enabled = False
# Its history would be a database that each kernel writes to.
c.HistoryManager.enabled = False
# Kernels are spoken to over sockets in /run: over TCP, libzmq lists network devices, of which a grain has none.
c.KernelManager.transport = "ipc"
