/*
 * The second half of the functions of the CUDA 10.1 driver API: graphs, occupancy, textures, peers, graphics.
 * Include <cuda.h>, not this file.
 */
#ifndef CUDA_SHIM_PROTOTYPES_H
#define CUDA_SHIM_PROTOTYPES_H

/* == Graph management == */

/* Creates an empty graph; flags must be 0. */
CUresult CUDAAPI cuGraphCreate(CUgraph* graph, unsigned int flags);
/* Adds a kernel launch. Every cuGraphAdd* makes the new node depend on `count` nodes of the same graph. */
CUresult CUDAAPI cuGraphAddKernelNode(CUgraphNode* node, CUgraph graph, const CUgraphNode* dependencies,
                                      size_t count, const CUDA_KERNEL_NODE_PARAMS* parameters);
/* A kernel node's parameters. */
CUresult CUDAAPI cuGraphKernelNodeGetParams(CUgraphNode node, CUDA_KERNEL_NODE_PARAMS* parameters);
/* Replaces them. */
CUresult CUDAAPI cuGraphKernelNodeSetParams(CUgraphNode node, const CUDA_KERNEL_NODE_PARAMS* parameters);
/* Adds a copy, made in a context. */
CUresult CUDAAPI cuGraphAddMemcpyNode(CUgraphNode* node, CUgraph graph, const CUgraphNode* dependencies,
                                      size_t count, const CUDA_MEMCPY3D* copy, CUcontext context);
/* A copy node's parameters. */
CUresult CUDAAPI cuGraphMemcpyNodeGetParams(CUgraphNode node, CUDA_MEMCPY3D* copy);
/* Replaces them. */
CUresult CUDAAPI cuGraphMemcpyNodeSetParams(CUgraphNode node, const CUDA_MEMCPY3D* copy);
/* Adds a fill, made in a context. */
CUresult CUDAAPI cuGraphAddMemsetNode(CUgraphNode* node, CUgraph graph, const CUgraphNode* dependencies,
                                      size_t count, const CUDA_MEMSET_NODE_PARAMS* fill, CUcontext context);
/* A fill node's parameters. */
CUresult CUDAAPI cuGraphMemsetNodeGetParams(CUgraphNode node, CUDA_MEMSET_NODE_PARAMS* fill);
/* Replaces them. */
CUresult CUDAAPI cuGraphMemsetNodeSetParams(CUgraphNode node, const CUDA_MEMSET_NODE_PARAMS* fill);
/* Adds a call of a function of the host. */
CUresult CUDAAPI cuGraphAddHostNode(CUgraphNode* node, CUgraph graph, const CUgraphNode* dependencies,
                                    size_t count, const CUDA_HOST_NODE_PARAMS* parameters);
/* A host node's parameters. */
CUresult CUDAAPI cuGraphHostNodeGetParams(CUgraphNode node, CUDA_HOST_NODE_PARAMS* parameters);
/* Replaces them. */
CUresult CUDAAPI cuGraphHostNodeSetParams(CUgraphNode node, const CUDA_HOST_NODE_PARAMS* parameters);
/* Adds a copy of another graph as one node. */
CUresult CUDAAPI cuGraphAddChildGraphNode(CUgraphNode* node, CUgraph graph, const CUgraphNode* dependencies,
                                          size_t count, CUgraph child);
/* The graph inside such a node. */
CUresult CUDAAPI cuGraphChildGraphNodeGetGraph(CUgraphNode node, CUgraph* child);
/* Adds a node that does nothing but order others. */
CUresult CUDAAPI cuGraphAddEmptyNode(CUgraphNode* node, CUgraph graph, const CUgraphNode* dependencies,
                                     size_t count);
/* Copies a graph. */
CUresult CUDAAPI cuGraphClone(CUgraph* clone, CUgraph original);
/* The node of a copy that stands for one of the original. */
CUresult CUDAAPI cuGraphNodeFindInClone(CUgraphNode* node, CUgraphNode original, CUgraph clone);
/* What a node is. */
CUresult CUDAAPI cuGraphNodeGetType(CUgraphNode node, CUgraphNodeType* type);
/* The graph's nodes; with a null array, only how many. So it is for the five that follow. */
CUresult CUDAAPI cuGraphGetNodes(CUgraph graph, CUgraphNode* nodes, size_t* count);
/* The nodes that depend on none. */
CUresult CUDAAPI cuGraphGetRootNodes(CUgraph graph, CUgraphNode* nodes, size_t* count);
/* The dependencies, as pairs. */
CUresult CUDAAPI cuGraphGetEdges(CUgraph graph, CUgraphNode* from, CUgraphNode* to, size_t* count);
/* The nodes that a node depends on. */
CUresult CUDAAPI cuGraphNodeGetDependencies(CUgraphNode node, CUgraphNode* nodes, size_t* count);
/* The nodes that depend on a node. */
CUresult CUDAAPI cuGraphNodeGetDependentNodes(CUgraphNode node, CUgraphNode* nodes, size_t* count);
/* Makes each to[i] depend on from[i]. */
CUresult CUDAAPI cuGraphAddDependencies(CUgraph graph, const CUgraphNode* from, const CUgraphNode* to,
                                        size_t count);
/* Undoes that. */
CUresult CUDAAPI cuGraphRemoveDependencies(CUgraph graph, const CUgraphNode* from, const CUgraphNode* to,
                                           size_t count);
/* Removes a node and its edges. */
CUresult CUDAAPI cuGraphDestroyNode(CUgraphNode node);
/* Makes a graph ready to launch. On failure the node at fault and a text about it, cut to log_bytes. */
CUresult CUDAAPI cuGraphInstantiate(CUgraphExec* executable, CUgraph graph, CUgraphNode* error_node,
                                    char* log, size_t log_bytes);
/* Replaces a kernel node's parameters in what is ready to launch. */
CUresult CUDAAPI cuGraphExecKernelNodeSetParams(CUgraphExec executable, CUgraphNode node,
                                                const CUDA_KERNEL_NODE_PARAMS* parameters);
/* Launches it in stream order. */
CUresult CUDAAPI __CUDA_API_PTSZ(cuGraphLaunch)(CUgraphExec executable, CUstream stream);
/* Destroys what was made ready. */
CUresult CUDAAPI cuGraphExecDestroy(CUgraphExec executable);
/* Destroys a graph. */
CUresult CUDAAPI cuGraphDestroy(CUgraph graph);

/* == Occupancy == */

/* How many blocks of that size one multiprocessor holds at once. */
CUresult CUDAAPI cuOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, CUfunction function, int block_size,
                                                             size_t shared_bytes);
/* The same with CUoccupancy_flags. */
CUresult CUDAAPI cuOccupancyMaxActiveBlocksPerMultiprocessorWithFlags(int* blocks, CUfunction function,
                                                                      int block_size, size_t shared_bytes,
                                                                      unsigned int flags);
/* The block size that fills the device best, and the smallest grid that does; limit 0 means none. */
CUresult CUDAAPI cuOccupancyMaxPotentialBlockSize(int* grid_size, int* block_size, CUfunction function,
                                                  CUoccupancyB2DSize shared_bytes_of, size_t shared_bytes,
                                                  int block_size_limit);
/* The same with CUoccupancy_flags. */
CUresult CUDAAPI cuOccupancyMaxPotentialBlockSizeWithFlags(int* grid_size, int* block_size,
                                                           CUfunction function,
                                                           CUoccupancyB2DSize shared_bytes_of,
                                                           size_t shared_bytes, int block_size_limit,
                                                           unsigned int flags);

/* == Texture references == */

/* Binds an array; flags are CU_TRSA_OVERRIDE_FORMAT. */
CUresult CUDAAPI cuTexRefSetArray(CUtexref reference, CUarray array, unsigned int flags);
/* Binds an array with mipmap levels. */
CUresult CUDAAPI cuTexRefSetMipmappedArray(CUtexref reference, CUmipmappedArray array, unsigned int flags);
/* Binds memory, and tells by how many bytes the texture begins before it. */
CUresult CUDAAPI cuTexRefSetAddress_v2(size_t* offset, CUtexref reference, CUdeviceptr address, size_t bytes);
/* Binds rows of memory. */
CUresult CUDAAPI cuTexRefSetAddress2D_v3(CUtexref reference, const CUDA_ARRAY_DESCRIPTOR* descriptor,
                                         CUdeviceptr address, size_t pitch);
/* Sets format and number of channels. */
CUresult CUDAAPI cuTexRefSetFormat(CUtexref reference, CUarray_format format, int channels);
/* Sets what happens outside, per dimension. */
CUresult CUDAAPI cuTexRefSetAddressMode(CUtexref reference, int dimension, CUaddress_mode mode);
/* Sets the filter. */
CUresult CUDAAPI cuTexRefSetFilterMode(CUtexref reference, CUfilter_mode mode);
/* Sets the filter between mipmap levels. */
CUresult CUDAAPI cuTexRefSetMipmapFilterMode(CUtexref reference, CUfilter_mode mode);
/* Sets what is added to the mipmap level. */
CUresult CUDAAPI cuTexRefSetMipmapLevelBias(CUtexref reference, float bias);
/* Sets the range of mipmap levels. */
CUresult CUDAAPI cuTexRefSetMipmapLevelClamp(CUtexref reference, float least, float greatest);
/* Sets the limit of anisotropic filtering. */
CUresult CUDAAPI cuTexRefSetMaxAnisotropy(CUtexref reference, unsigned int anisotropy);
/* Sets the border colour: four floats. */
CUresult CUDAAPI cuTexRefSetBorderColor(CUtexref reference, float* color);
/* Sets CU_TRSF_* flags. */
CUresult CUDAAPI cuTexRefSetFlags(CUtexref reference, unsigned int flags);
/* The memory that is bound. */
CUresult CUDAAPI cuTexRefGetAddress_v2(CUdeviceptr* address, CUtexref reference);
/* The array that is bound. */
CUresult CUDAAPI cuTexRefGetArray(CUarray* array, CUtexref reference);
/* The array with mipmap levels that is bound. */
CUresult CUDAAPI cuTexRefGetMipmappedArray(CUmipmappedArray* array, CUtexref reference);
/* What happens outside, per dimension. */
CUresult CUDAAPI cuTexRefGetAddressMode(CUaddress_mode* mode, CUtexref reference, int dimension);
/* The filter. */
CUresult CUDAAPI cuTexRefGetFilterMode(CUfilter_mode* mode, CUtexref reference);
/* Format and number of channels. */
CUresult CUDAAPI cuTexRefGetFormat(CUarray_format* format, int* channels, CUtexref reference);
/* The filter between mipmap levels. */
CUresult CUDAAPI cuTexRefGetMipmapFilterMode(CUfilter_mode* mode, CUtexref reference);
/* What is added to the mipmap level. */
CUresult CUDAAPI cuTexRefGetMipmapLevelBias(float* bias, CUtexref reference);
/* The range of mipmap levels. */
CUresult CUDAAPI cuTexRefGetMipmapLevelClamp(float* least, float* greatest, CUtexref reference);
/* The limit of anisotropic filtering. */
CUresult CUDAAPI cuTexRefGetMaxAnisotropy(int* anisotropy, CUtexref reference);
/* The border colour: four floats. */
CUresult CUDAAPI cuTexRefGetBorderColor(float* color, CUtexref reference);
/* The CU_TRSF_* flags. */
CUresult CUDAAPI cuTexRefGetFlags(unsigned int* flags, CUtexref reference);
/* Creates a texture reference. */
CUresult CUDAAPI cuTexRefCreate(CUtexref* reference);
/* Destroys it. */
CUresult CUDAAPI cuTexRefDestroy(CUtexref reference);

/* == Surface references == */

/* Binds an array; flags must be 0. */
CUresult CUDAAPI cuSurfRefSetArray(CUsurfref reference, CUarray array, unsigned int flags);
/* The array that is bound. */
CUresult CUDAAPI cuSurfRefGetArray(CUarray* array, CUsurfref reference);

/* == Texture objects == */

/* Creates a texture object; the view may be null. */
CUresult CUDAAPI cuTexObjectCreate(CUtexObject* texture, const CUDA_RESOURCE_DESC* resource,
                                   const CUDA_TEXTURE_DESC* sampling, const CUDA_RESOURCE_VIEW_DESC* view);
/* Destroys it. */
CUresult CUDAAPI cuTexObjectDestroy(CUtexObject texture);
/* What it reads. */
CUresult CUDAAPI cuTexObjectGetResourceDesc(CUDA_RESOURCE_DESC* resource, CUtexObject texture);
/* How it samples. */
CUresult CUDAAPI cuTexObjectGetTextureDesc(CUDA_TEXTURE_DESC* sampling, CUtexObject texture);
/* Which part it sees. */
CUresult CUDAAPI cuTexObjectGetResourceViewDesc(CUDA_RESOURCE_VIEW_DESC* view, CUtexObject texture);

/* == Surface objects == */

/* Creates a surface object from an array. */
CUresult CUDAAPI cuSurfObjectCreate(CUsurfObject* surface, const CUDA_RESOURCE_DESC* resource);
/* Destroys it. */
CUresult CUDAAPI cuSurfObjectDestroy(CUsurfObject surface);
/* What it reads and writes. */
CUresult CUDAAPI cuSurfObjectGetResourceDesc(CUDA_RESOURCE_DESC* resource, CUsurfObject surface);

/* == Peer access == */

/* Whether a device can reach the memory of another. */
CUresult CUDAAPI cuDeviceCanAccessPeer(int* can_access, CUdevice device, CUdevice peer);
/* Lets the current context reach the memory of another; flags must be 0. */
CUresult CUDAAPI cuCtxEnablePeerAccess(CUcontext peer, unsigned int flags);
/* Undoes that. */
CUresult CUDAAPI cuCtxDisablePeerAccess(CUcontext peer);
/* One number about the link between two devices. */
CUresult CUDAAPI cuDeviceGetP2PAttribute(int* value, CUdevice_P2PAttribute attribute, CUdevice source,
                                         CUdevice destination);

/* == Graphics interoperability == */

/* Gives up a resource that was registered. */
CUresult CUDAAPI cuGraphicsUnregisterResource(CUgraphicsResource resource);
/* The array of one layer and level of a mapped resource. */
CUresult CUDAAPI cuGraphicsSubResourceGetMappedArray(CUarray* array, CUgraphicsResource resource,
                                                     unsigned int layer, unsigned int level);
/* The whole array of a mapped resource. */
CUresult CUDAAPI cuGraphicsResourceGetMappedMipmappedArray(CUmipmappedArray* array,
                                                           CUgraphicsResource resource);
/* Address and size of a mapped resource. */
CUresult CUDAAPI cuGraphicsResourceGetMappedPointer_v2(CUdeviceptr* address, size_t* bytes,
                                                       CUgraphicsResource resource);
/* How a resource will be mapped: CUgraphicsMapResourceFlags. */
CUresult CUDAAPI cuGraphicsResourceSetMapFlags_v2(CUgraphicsResource resource, unsigned int flags);
/* Maps resources, after the graphics work that uses them. */
CUresult CUDAAPI __CUDA_API_PTSZ(cuGraphicsMapResources)(unsigned int count, CUgraphicsResource* resources,
                                                         CUstream stream);
/* Unmaps them, before the graphics work that comes. */
CUresult CUDAAPI __CUDA_API_PTSZ(cuGraphicsUnmapResources)(unsigned int count, CUgraphicsResource* resources,
                                                           CUstream stream);

/* == Export tables == */

/* A table of functions that NVIDIA's runtime library asks the driver for. */
CUresult CUDAAPI cuGetExportTable(const void** table, const CUuuid* id);

#endif
