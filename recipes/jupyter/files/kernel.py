# ipykernel, without the port at which child processes of a program reach the page: to open it, libzmq lists
# network devices, of which a grain has none, and aborts.
from ipykernel import iostream, kernelapp


class Output(iostream.IOPubThread):
    def __init__(self, socket, pipe=False):
        super().__init__(socket)


kernelapp.IOPubThread = Output
kernelapp.launch_new_instance()
