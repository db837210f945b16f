"""The systems, one file each; a system reads like its paper. A new one is a file and a line here."""

SYSTEMS = {  # name in params.yaml -> module and class; importing this alone imports no torch
    "usol": "model.systems.usol:Usol",
    "guided": "model.systems.guided:Guided",
}
